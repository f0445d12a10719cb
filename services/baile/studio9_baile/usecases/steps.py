"""The steps of an experiment: each is a job with a model, a dataset version and albums of its own.

A second one waits in the process of the first, and begins in the transaction that brings in what that has trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.models.learned import Model, ModelVersion, Stage, VersionStatus
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType
from studio9_baile.models.runs import Experiment
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.albums import NewAlbum, add_album
from studio9_baile.usecases.asking import Wanted, ask, new_job
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.datasets import NewVersion, add_version
from studio9_baile.usecases.pipeline import STEPS, Plan
from studio9_baile.usecases.predictions import weights
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_task.layout import MODEL
from studio9_task.parameters import TrainParameters

TL_TYPES = {"classifier": "CLASSIFICATION", "detector": "LOCALIZATION", "decoder": "AUTOENCODER"}
INPUTS = ("train", "test")
"""In the order in which a job has them; what waits in a process has no order."""
LONGEST_NAME = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A step as it will be started. `albums` are those of its inputs; its dataset version is known already."""

    name: str
    framework: str
    tl_type: str
    parameters: TrainParameters
    dataset_version: str
    albums: Mapping[str, str]


TRAINING: TypeAdapter[Training] = TypeAdapter(Training)


def prepare(
    core: Core, work: Work, caller: Caller, name: str, planned: Plan, version: NewVersion, albums: Mapping[str, Album]
) -> Training:
    """Makes a step's dataset version known: what it will learn from is fixed from now on."""
    add_version(work, caller.user, version, core.objects.profile, None)
    return Training(
        name=name,
        framework=planned.head.framework,
        tl_type=TL_TYPES[planned.head.consumer],
        parameters=planned.parameters,
        dataset_version=version.id,
        albums={one: album.id for one, album in albums.items()},
    )


async def begin(
    core: Core,
    work: Work,
    experiment: Experiment,
    training: Training,
    extractor: ModelVersion | None,
    then: Training | None = None,
) -> Process:
    """Adds a step's model, albums, process and request; `then` is what begins at its end, with its model. Raises
    BadInput if the extractor has no weights."""
    job = new_job()
    owner = experiment.owner
    title = f"{experiment.name} Model" if training.name == STEPS[0] else f"{experiment.name} Step 2 Model"
    model = work.models.make(
        owner=owner, name=await work.models.free_name(owner, title), description=None, in_library=False
    )
    await work.flush()
    version = _version(work, model, experiment, training, extractor, job)
    await work.flush()
    albums = {name: await work.albums.get(album) for name, album in training.albums.items()}
    data: dict[str, Any] = {
        "step": training.name,
        "model": model.id,
        "model_version": version.id,
        "outputs": {},
        "dataset_version": training.dataset_version,
    }
    made_from(work, Kind.MODEL_VERSION, version.id, Kind.DATASET_VERSION, training.dataset_version, "trained_on", job)
    for name, album in albums.items():
        title = f"{model.name} {album.name} {'OUT' if name == 'train' else 'TEST OUT'}"
        output = await _album(work, owner, title, album, AlbumType.TRAINRESULTS, job)
        data["outputs"][name] = output.id
        made_from(work, Kind.ALBUM, output.id, Kind.ALBUM, album.id, name, job)
        made_from(work, Kind.ALBUM, output.id, Kind.MODEL_VERSION, version.id, "predicted_by", job)
    augmentation = training.parameters.augmentation
    if augmentation is not None and augmentation.prepare_sample:
        album = albums["train"]
        sample = await _album(work, owner, f"{album.name} automated DA sample", album, AlbumType.SOURCE, job)
        data["sample"] = sample.id
        made_from(work, Kind.ALBUM, sample.id, Kind.ALBUM, album.id, "augment", job)
    changed(work, Kind.CV_MODEL, model.id, "created", status=version.status)
    begun: tuple[Input, ...] = ()
    if extractor is not None:
        begun = (Input(name=MODEL, kind="file", ref=weights(extractor)),)
        made_from(work, Kind.MODEL_VERSION, version.id, Kind.MODEL_VERSION, extractor.id, "begun_with", job)
    if then is not None:
        data["then"] = TRAINING.dump_python(then, mode="json", exclude_none=True)
    spec = Spec(
        kind="train",
        framework=training.framework,
        parameters=version.parameters,
        inputs=(*begun, *await _inputs(work, training)),
        requirements=Requirements(gpus=core.settings.train_gpus),
        provenance=Provenance(model_id=model.id, model_version=version.id, dataset_version=training.dataset_version),
    )
    wanted = Wanted(
        id=job,
        owner=owner,
        spec=spec,
        job_type="CV_MODEL_TRAIN",
        target=Kind.EXPERIMENT,
        target_id=experiment.id,
        data=data,
    )
    return ask(work, wanted, core.limits)


async def _inputs(work: Work, training: Training) -> list[Input]:
    known = await work.manifests.of(training.dataset_version)
    return [
        Input(name=name, kind="pictures", ref=ObjectRef(key=row.key, sha256=row.sha256, size=row.size))
        for name, row in ((name, known[name]) for name in INPUTS if name in training.albums)
    ]


def _version(
    work: Work, model: Model, experiment: Experiment, training: Training, extractor: ModelVersion | None, job: str
) -> ModelVersion:
    return work.versions.make(
        model=model.id,
        number=1,
        status=VersionStatus.TRAINING,
        stage=Stage.candidate,
        framework=training.framework,
        architecture=training.parameters.architecture,
        head=training.parameters.head,
        tl_type=training.tl_type,
        parameters=training.parameters.model_dump(mode="json", exclude_none=True),
        dataset_version=training.dataset_version,
        experiment=experiment.id,
        feature_extractor=None if extractor is None else extractor.id,
        job=job,
    )


async def _album(work: Work, owner: str, title: str, like: Album, kind: AlbumType, job: str) -> Album:
    """An album that the job fills."""
    new = NewAlbum(
        name=await work.albums.free_name(owner, title[:LONGEST_NAME]),
        label_mode=like.label_mode,
        type=kind,
        status=AlbumStatus.SAVING,
        in_library=False,
        job=job,
    )
    album = add_album(work, owner, new)
    await work.flush()
    changed(work, Kind.ALBUM, album.id, "created", status=album.status)
    return album
