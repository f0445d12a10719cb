"""Training a model on a dataset version: everything is judged before anything is queued."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.models.learned import (
    CodePackage,
    DatasetManifest,
    DatasetVersion,
    Model,
    ModelVersion,
    Stage,
    VersionStatus,
)
from studio9_baile.models.pictures import LabelMode
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.asking import Wanted, ask, new_job
from studio9_baile.usecases.bucket_inputs import check_credentials, check_inputs
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.code_packages import code_input, usable
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_common.errors import BadInput
from studio9_task.catalogue import Catalogue, Head
from studio9_task.parameters import TrainParameters
from studio9_task.problems import Problem, shown
from studio9_task.validate import validate_pair, validate_parameters

TL_TYPES = {"classifier": "CLASSIFICATION", "detector": "LOCALIZATION", "decoder": "AUTOENCODER"}
LABEL_MODES = {"classifier": LabelMode.CLASSIFICATION, "detector": LabelMode.LOCALIZATION}
PROFILES = ("default", "cpu", "gpu")
"""Compute profiles: as the installation's trainings usually run, on a CPU slot, on a GPU."""
INPUTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCode:
    """A trainer of the user's own: a code package, and the class in it as package.module:Class."""

    package: str
    entry: str


async def train(
    core: Core,
    caller: Caller,
    model_id: str,
    dataset_version: str,
    profile: str | None,
    config: Mapping[str, Any],
    *,
    framework: str | None = None,
    own: OwnCode | None = None,
    inputs: Sequence[Input] = (),
) -> tuple[Process, ModelVersion]:
    """Queues a training, which makes a new version of the model. `framework`: what the config must be of; `inputs`:
    files from buckets of the caller's own, for code of their own. Raises NotFound for the model, AccessDenied, BadInput
    for an unknown dataset version, profile, code package or credential, or a config that is out of range."""
    async with core.database.read(caller.organisation) as work:
        check_owner(caller, await work.models.get(model_id))
    parameters, head = judged(await core.catalogue.current(), config, framework, own)
    requirements = requirements_of(core, profile)
    files = await check_inputs(core, inputs, own_code=own is not None)
    async with core.database.write(caller.organisation) as work:
        model = await work.models.get(model_id, lock=True)
        check_owner(caller, model)
        data, manifests = await trainable(work, caller, dataset_version, head, lock=True)
        await check_credentials(work, caller, files)
        code = None if own is None else await usable(work, caller, own.package, own.entry)
        version = await new_version(work, model, data, parameters, head, code)
        spec = Spec(
            kind="train",
            framework=head.framework,
            parameters=version.parameters,
            inputs=(*inputs_of(manifests, INPUTS, code), *files),
            requirements=requirements,
        )
        process = begin(core, work, caller, model, version, spec)
    return process, version


def judged(
    catalogue: Catalogue, config: Mapping[str, Any], framework: str | None, own: OwnCode | None
) -> tuple[TrainParameters, Head]:
    """What a config asks for, and the head that it trains. Raises BadInput, naming field, value and fix."""
    return _parameters(_with_entry(_of(config, catalogue, framework), own), catalogue, framework, own)


def begin(core: Core, work: Work, caller: Caller, model: Model, version: ModelVersion, spec: Spec) -> Process:
    """Asks for the job that makes a new version."""
    assert version.job is not None
    data: dict[str, Any] = {
        "model": model.id,
        "model_version": version.id,
        "outputs": {},
        "dataset_version": version.dataset_version,
    }
    provenance = Provenance(model_id=model.id, model_version=version.id, dataset_version=version.dataset_version)
    wanted = Wanted(
        id=version.job,
        owner=caller.user,
        spec=replace(spec, provenance=provenance),
        job_type="CV_MODEL_TRAIN",
        target=Kind.CV_MODEL,
        target_id=model.id,
        data=data,
    )
    process = ask(work, wanted, core.limits)
    changed(work, Kind.CV_MODEL, model.id, "training", by=caller, status=version.status)
    return process


def _of(config: Mapping[str, Any], catalogue: Catalogue, framework: str | None) -> Mapping[str, Any]:
    """The config with the architecture of a framework that has just one. Raises BadInput for an unknown framework."""
    if framework is None:
        return config
    offered = [one.id for one in catalogue.architectures if one.framework == framework]
    if catalogue.heads and not offered:
        known = sorted({one.framework for one in catalogue.architectures})
        raise BadInput(
            "Framework not found", field="framework", value=framework[:100], fix=f"use one of {', '.join(known)}"
        )
    return config if len(offered) != 1 else {"architecture": offered[0], **config}


def _with_entry(config: Mapping[str, Any], own: OwnCode | None) -> Mapping[str, Any]:
    """The entry is a parameter of the head. Raises BadInput where the config has another one."""
    given = config.get("head_parameters") or {}
    if own is None or not isinstance(given, Mapping):
        return config
    if given.get("entry", own.entry) != own.entry:
        raise BadInput("The entry is named twice", field="config.head_parameters.entry", fix="leave it out")
    return {**config, "head_parameters": {**given, "entry": own.entry}}


def _check_code(catalogue: Catalogue, head: Head, own: OwnCode | None) -> None:
    """Raises BadInput where a trainer of one's own comes without code, or another one with it."""
    needed = catalogue.needs_code(head.framework)
    if needed and own is None:
        fix = "send your package to POST /v1/code, and name its id as `code` and your class as `entry`"
        raise BadInput(f"{head.id} trains with code of your own", field="code", fix=fix)
    if own is not None and not needed:
        raise BadInput(
            f"{head.id} takes no code of your own", field="code", fix="leave it out, or use framework custom"
        )


def _parameters(
    config: Mapping[str, Any], catalogue: Catalogue, framework: str | None, own: OwnCode | None
) -> tuple[TrainParameters, Head]:
    if not catalogue.heads:
        raise BadInput("No worker has told what it can do", field="config", fix="start a worker")
    try:
        parameters = TrainParameters.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(("config", *(str(part) for part in first["loc"])))
        value = first["input"] if isinstance(first["input"], (str, int, float, bool)) else None
        raise BadInput("The config cannot be used", field=where, value=value, fix=str(first["msg"])) from None
    _refuse(validate_pair(catalogue, parameters.architecture, parameters.head), "config.")
    architecture = next(one for one in catalogue.architectures if one.id == parameters.architecture)
    head = next(one for one in catalogue.heads if one.id == parameters.head)
    if framework not in (None, head.framework):
        fix = f"{head.id} is of {head.framework}: name that, or leave it out"
        raise BadInput("The head is of another framework", field="framework", value=framework, fix=fix)
    _check_code(catalogue, head, own)
    _refuse(
        validate_parameters(architecture.parameters, parameters.architecture_parameters),
        "config.architecture_parameters.",
    )
    _refuse(validate_parameters(head.parameters, parameters.head_parameters), "config.head_parameters.")
    return parameters, head


def _refuse(problems: list[Problem], prefix: str) -> None:
    if problems:
        first = problems[0]
        raise BadInput("The config is out of range", field=prefix + first.field, value=first.value, fix=first.fix)


def requirements_of(core: Core, profile: str | None) -> Requirements:
    """What a compute profile asks of a worker. Raises BadInput for an unknown one."""
    if profile not in (None, *PROFILES):
        raise BadInput(
            "Compute profile not found",
            field="compute_profile_id",
            value=shown(profile),
            fix=f"use {', '.join(PROFILES)}",
        )
    gpus = {"cpu": 0, "gpu": max(1, core.settings.train_gpus)}.get(profile or "default", core.settings.train_gpus)
    return Requirements(gpus=gpus)


async def trainable(
    work: Work, caller: Caller, identifier: str, head: Head, *, lock: bool = False
) -> tuple[DatasetVersion, Mapping[str, DatasetManifest]]:
    """A dataset version of the caller's that can be trained on, and its manifests by name. `lock`: it is not deleted
    meanwhile. Raises BadInput."""
    field = "dataset_version_id"
    data = await work.dataset_versions.find(identifier, lock=lock)
    if data is None or data.author != caller.user:
        raise BadInput("Dataset version not found", field=field, value=identifier[:100], fix="choose one of yours")
    manifests = await work.manifests.of(data.id)
    if "train" not in manifests:
        raise BadInput("Dataset version has no pictures to train on", field=field, fix="make one with an album `train`")
    mode = LABEL_MODES.get(head.consumer)
    for name, manifest in manifests.items():
        album = await work.albums.find(manifest.album)
        if mode is not None and album is not None and album.label_mode is not mode:
            fix = f"its album {name} has the label mode {album.label_mode.value}; {head.id} needs {mode.value}"
            raise BadInput("Dataset version does not fit the head", field=field, value=identifier[:100], fix=fix)
    if mode is not None and manifests["train"].shapes == 0:
        raise BadInput("No picture of the dataset version is labelled", field=field, fix="label some pictures first")
    return data, manifests


def inputs_of(
    manifests: Mapping[str, DatasetManifest], names: Collection[str], code: CodePackage | None
) -> tuple[Input, ...]:
    """The manifests of these names as inputs, and the code, if there is some."""
    listed = tuple(_input(one) for one in manifests.values() if one.name in names)
    return listed if code is None else (*listed, code_input(code))


def _input(manifest: DatasetManifest) -> Input:
    ref = ObjectRef(key=manifest.key, sha256=manifest.sha256, size=manifest.size)
    return Input(name=manifest.name, kind="pictures", ref=ref)


async def new_version(
    work: Work,
    model: Model,
    data: DatasetVersion,
    parameters: TrainParameters,
    head: Head,
    code: CodePackage | None,
) -> ModelVersion:
    """A version in its making, with the id of the job that makes it, and what it is made from. The model's row must be
    locked."""
    job = new_job()
    version = work.versions.make(
        model=model.id,
        number=await work.versions.next_number(model.id),
        status=VersionStatus.TRAINING,
        stage=Stage.candidate,
        framework=head.framework,
        architecture=parameters.architecture,
        head=head.id,
        tl_type=TL_TYPES[head.consumer],
        parameters=parameters.model_dump(mode="json", exclude_none=True),
        dataset_version=data.id,
        job=job,
        code=None if code is None else code.id,
    )
    made_from(work, Kind.MODEL_VERSION, version.id, Kind.DATASET_VERSION, data.id, "trained_on", job)
    if code is not None:
        made_from(work, Kind.MODEL_VERSION, version.id, Kind.CODE_PACKAGE, code.id, "trained_with", job)
    return version
