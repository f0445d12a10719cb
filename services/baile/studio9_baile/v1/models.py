"""`/v1/models`, their versions, and training them."""

from typing import Any

from pydantic import Field

from studio9_baile.models.learned import Model, ModelVersion, Stage, VersionStatus
from studio9_baile.models.records import Lineage
from studio9_baile.usecases import bucket_inputs, model_versions, models, training
from studio9_baile.usecases.bucket_inputs import from_bucket
from studio9_baile.usecases.training import OwnCode
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged
from studio9_common.contracts.job import Input, Source
from studio9_common.errors import BadInput

routes = router(prefix="/models", tag="models")


class ModelBody(Body):
    """A model to be made."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(None, max_length=10_000)


class ModelChange(Body):
    """What is to be changed of a model; what is not given stays."""

    name: str | None = Field(None, min_length=1, max_length=255)
    description: str | None = Field(None, max_length=10_000)


class ModelAnswer(Answer):
    """A model; it exists before its first version does."""

    id: str
    name: str
    description: str | None = None
    owner: str
    in_library: bool
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Model) -> "ModelAnswer":
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            owner=row.owner,
            in_library=row.in_library,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class Made(Answer):
    """What an asset was made from, as what, and by which job."""

    kind: str
    id: str
    role: str
    job: str | None = None

    @classmethod
    def of(cls, edge: Lineage) -> "Made":
        return cls(kind=edge.parent_kind, id=edge.parent, role=edge.role, job=edge.job)


class VersionAnswer(Answer):
    """One training of a model. `figures` are its evaluations by input; `training_session` is the job that made it."""

    id: str
    model: str
    number: int
    status: VersionStatus
    stage: Stage
    framework: str
    architecture: str
    head: str
    labels: list[Any] | None = None
    parameters: dict[str, Any]
    figures: dict[str, Any] | None = None
    dataset_version: str | None = None
    code: str | None = None
    training_session: str | None = None
    experiment: str | None = None
    artifact_sha256: str | None = None
    artifact_size: int | None = None
    created_at: Time
    updated_at: Time
    made_from: list[Made] | None = None

    @classmethod
    def of(cls, row: ModelVersion, parents: list[Lineage] | None = None) -> "VersionAnswer":
        return cls(
            id=row.id,
            model=row.model,
            number=row.number,
            status=row.status,
            stage=row.stage,
            framework=row.framework,
            architecture=row.architecture,
            head=row.head,
            labels=row.labels,
            parameters=row.parameters,
            figures=row.figures,
            dataset_version=row.dataset_version,
            code=row.code,
            training_session=row.job,
            experiment=row.experiment,
            artifact_sha256=row.artifact_sha256,
            artifact_size=row.artifact_size,
            created_at=row.created_at,
            updated_at=row.updated_at,
            made_from=None if parents is None else [Made.of(edge) for edge in parents],
        )


class TrainBody(Body):
    """What to train with. `config` is the task contract's: architecture, head and their parameters (see
    `GET /v1/catalogue`), input_size, rates, thresholds. With `framework` custom, `code` is the id of a code package and
    `entry` the trainer in it, as package.module:Class; such a training runs in a container or not at all."""

    dataset_version_id: str = Field(min_length=1, max_length=100)
    compute_profile_id: str | None = Field(None, max_length=100)
    config: dict[str, Any]
    framework: str | None = Field(None, min_length=1, max_length=100)
    code: str | None = Field(None, min_length=1, max_length=100)
    entry: str | None = Field(None, min_length=1, max_length=200)

    def own_code(self) -> OwnCode | None:
        """Raises BadInput for one of the two without the other."""
        if self.code is not None and self.entry is not None:
            return OwnCode(package=self.code, entry=self.entry)
        if self.code is None and self.entry is None:
            return None
        missing = "code" if self.code is None else "entry"
        raise BadInput("Code of your own is half named", field=missing, fix="give both `code` and `entry`")


class InputBody(Body):
    """Files of one's own: one object (`key`), which lies in the training's folder as `inputs/{name}/{name}.suffix`, or
    all below a `prefix`, as `inputs/{name}/…`. `credential` is the id of a stored one; `endpoint` is of an S3 server
    that is not AWS. A `sha256` of the object is checked."""

    name: str = Field(min_length=1, max_length=64)
    bucket: str = Field(min_length=1, max_length=63)
    region: str = Field(min_length=1, max_length=40)
    credential: str = Field(min_length=1, max_length=64)
    key: str | None = Field(None, min_length=1, max_length=1_024)
    prefix: str | None = Field(None, max_length=1_024)
    endpoint: str | None = Field(None, min_length=1, max_length=300)
    sha256: str | None = Field(None, min_length=64, max_length=64)

    def input(self) -> Input:
        """As the job will name it, not judged yet."""
        return from_bucket(self.name, Source(**self.model_dump(exclude={"name"})))


class TrainingBody(TrainBody):
    """What to train with, and `inputs`: files from buckets of one's own, for code of one's own."""

    inputs: list[InputBody] = Field([], max_length=bucket_inputs.MOST)


class Training(Answer):
    """A training that is queued, and the version that it makes."""

    training_session: str
    model_version: str
    number: int


@routes.post("", status_code=201, response_model_exclude_none=True)
async def create(body: ModelBody, core: TheCore, caller: TheCaller) -> ModelAnswer:
    return ModelAnswer.of(await model_versions.create_model(core, caller, body.name, body.description))


@routes.get("", response_model_exclude_none=True)
async def list_models(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[ModelAnswer]:
    rows = await model_versions.list_models(core, caller, wanted)
    return paged([ModelAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{model_id}", response_model_exclude_none=True)
async def get(model_id: Id, core: TheCore, caller: TheCaller) -> ModelAnswer:
    return ModelAnswer.of(await model_versions.get_model(core, caller, model_id))


@routes.patch("/{model_id}", response_model_exclude_none=True)
async def change(model_id: Id, body: ModelChange, core: TheCore, caller: TheCaller) -> ModelAnswer:
    return ModelAnswer.of(await model_versions.update_model(core, caller, model_id, body.name, body.description))


@routes.delete("/{model_id}", status_code=204)
async def delete(model_id: Id, core: TheCore, caller: TheCaller) -> None:
    """Deletes a model with its versions, unless something uses it."""
    await models.delete_model(core, caller, model_id)


@routes.get("/{model_id}/versions", response_model_exclude_none=True)
async def list_versions(model_id: Id, wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[VersionAnswer]:
    rows = await model_versions.list_versions(core, caller, model_id, wanted)
    return paged([VersionAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{model_id}/versions/{version_id}", response_model_exclude_none=True)
async def get_version(model_id: Id, version_id: Id, core: TheCore, caller: TheCaller) -> VersionAnswer:
    return VersionAnswer.of(*await model_versions.get_version(core, caller, model_id, version_id))


@routes.post("/{model_id}/train", status_code=202)
async def train(model_id: Id, body: TrainingBody, core: TheCore, caller: TheCaller) -> Training:
    """Queues a training, which makes a new version. What cannot be trained is refused here, before it is queued."""
    process, version = await training.train(
        core,
        caller,
        model_id,
        body.dataset_version_id,
        body.compute_profile_id,
        body.config,
        framework=body.framework,
        own=body.own_code(),
        inputs=[one.input() for one in body.inputs],
    )
    return Training(training_session=process.id, model_version=version.id, number=version.number)
