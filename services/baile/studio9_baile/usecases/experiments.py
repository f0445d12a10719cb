"""Experiments: a training from an album, its test on another, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import Model, ModelVersion, Stage, VersionStatus
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType
from studio9_baile.models.runs import Experiment, ExperimentStatus
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.albums import NewAlbum, add_album, remove_album
from studio9_baile.usecases.asking import Wanted, ask, ask_cancel, new_job
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, forget_place, made_from
from studio9_baile.usecases.datasets import NewVersion, add_version, write_version
from studio9_baile.usecases.pipeline import STEP, TYPE, LabelOfInterest, Plan, Step, plan
from studio9_baile.usecases.predictions import weights
from studio9_common.contracts.job import Input, Provenance, Requirements, Spec
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_task.layout import MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExperiment:
    """An experiment to be started; `pipeline` is kept as it was posted."""

    name: str | None
    description: str | None
    step: Step
    pipeline: dict[str, Any]


async def create_experiment(core: Core, caller: Caller, new: NewExperiment) -> Experiment:
    """Starts a training: its manifests are written first, then all its assets, its process and its request in one
    transaction. Raises BadInput, Conflict, NotFound; then nothing is left but unnamed manifests."""
    name = name_of(Kind.EXPERIMENT, new.name)
    description = text(new.description, "description")
    catalogue = await core.catalogue.current()
    extractor = await _extractor(core, caller, new.step)
    planned = plan(new.step, catalogue, None if extractor is None else extractor.architecture)
    async with core.database.read(caller.organisation) as work:
        await check_name(work, Kind.EXPERIMENT, caller.user, name)
        albums = {"train": await _usable(work, caller, new.step.input, f"{STEP}.input", planned)}
        if new.step.test_input is not None:
            albums["test"] = await _usable(work, caller, new.step.test_input, f"{STEP}.testInput", planned)
        await _check_labels(work, albums["train"], new.step.labels)
    version = await write_version(core, caller, "train", albums)
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.EXPERIMENT, caller.user, name)
        experiment = work.experiments.add(
            Experiment(
                id=new_id(),
                organisation=caller.organisation,
                created_at=work.now,
                updated_at=work.now,
                owner=caller.user,
                name=name,
                description=description,
                type=TYPE,
                status=ExperimentStatus.RUNNING,
                pipeline=new.pipeline,
                result=None,
            )
        )
        await _start(core, work, caller, experiment, planned, version, albums, extractor)
        changed(work, Kind.EXPERIMENT, experiment.id, "created", by=caller, status=experiment.status)
    return experiment


async def _extractor(core: Core, caller: Caller, step: Step) -> ModelVersion | None:
    """The model that a training begins with, where the step names one and no architecture. Raises BadInput."""
    if step.architecture is not None or step.feature_extractor is None:
        return None
    field = f"{STEP}.featureExtractorModelId"
    async with core.database.read(caller.organisation) as work:
        model = await work.models.find(step.feature_extractor)
        if model is None:
            raise BadInput(
                "Feature extractor model not found",
                field=field,
                value=step.feature_extractor[:100],
                fix="choose one of your models",
            )
        await check_read(work, caller, Kind.CV_MODEL, model)
        version = await work.versions.latest_of(model.id)
    weights(version, field)
    return version


async def _usable(work: Work, caller: Caller, identifier: str, field: str, planned: Plan) -> Album:
    """An album that can be trained on or tested with."""
    album = await work.albums.find(identifier)
    if album is None:
        raise BadInput(
            f"Album {identifier[:100]} not found", field=field, value=identifier[:100], fix="choose one of your albums"
        )
    await check_read(work, caller, Kind.ALBUM, album)
    if album.status is not AlbumStatus.ACTIVE:
        raise BadInput(
            f"Album {album.name} is not active", field=field, value=album.status.value, fix="wait until it is"
        )
    if planned.label_mode is not None and album.label_mode is not planned.label_mode:
        raise BadInput(
            "Model type is incompatible with album",
            field=field,
            value=album.label_mode.value,
            fix=f"choose an album of label mode {planned.label_mode.value}",
        )
    if await work.pictures.count(work.pictures.row.album == album.id) == 0:
        raise BadInput(f"Album {album.name} has no pictures", field=field, fix="upload pictures first")
    if planned.label_mode is not None and not await work.labels.counts(album.id, [False]):
        raise BadInput(f"No picture of album {album.name} is labelled", field=field, fix="label some pictures first")
    return album


async def _check_labels(work: Work, album: Album, labels: Sequence[LabelOfInterest]) -> None:
    known = {label for label, _ in await work.labels.counts(album.id, [False])}
    for number, one in enumerate(labels):
        if one.label not in known:
            raise BadInput(
                f"Label of interest {one.label!r} has no box in the album",
                field=f"{STEP}.trainParams.loi.{number}.label",
                value=one.label,
                fix=f"use one of {', '.join(sorted(known)[:20])}",
            )


async def _start(
    core: Core,
    work: Work,
    caller: Caller,
    experiment: Experiment,
    planned: Plan,
    version: NewVersion,
    albums: dict[str, Album],
    extractor: ModelVersion | None,
) -> None:
    job = new_job()
    add_version(work, caller, version, core.objects.profile, job)
    model = work.models.add(
        Model(
            id=new_id(),
            organisation=caller.organisation,
            created_at=work.now,
            updated_at=work.now,
            owner=caller.user,
            name=await work.models.free_name(caller.user, f"{experiment.name} Model"),
            description=None,
            in_library=False,
        )
    )
    await work.flush()
    model_version = work.versions.add(_version(work, model, experiment, planned, version, job))
    outputs = {
        name: add_album(work, caller.user, await _output(work, caller, model, album, name, job))
        for name, album in albums.items()
    }
    made_from(work, Kind.MODEL_VERSION, model_version.id, Kind.DATASET_VERSION, version.id, "trained_on", job)
    for name, output in outputs.items():
        made_from(work, Kind.ALBUM, output.id, Kind.ALBUM, albums[name].id, name, job)
        made_from(work, Kind.ALBUM, output.id, Kind.MODEL_VERSION, model_version.id, "predicted_by", job)
        changed(work, Kind.ALBUM, output.id, "created", status=output.status)
    changed(work, Kind.CV_MODEL, model.id, "created", status=model_version.status)
    begin: tuple[Input, ...] = ()
    if extractor is not None:
        model_version.feature_extractor = extractor.id
        begin = (Input(name=MODEL, kind="file", ref=weights(extractor)),)
        made_from(work, Kind.MODEL_VERSION, model_version.id, Kind.MODEL_VERSION, extractor.id, "begun_with", job)
    spec = Spec(
        kind="train",
        framework=planned.head.framework,
        parameters=planned.parameters.model_dump(mode="json", exclude_none=True),
        inputs=(*begin, *version.inputs),
        requirements=Requirements(gpus=core.settings.train_gpus),
        provenance=Provenance(model_id=model.id, model_version=model_version.id, dataset_version=version.id),
    )
    data = {
        "model": model.id,
        "model_version": model_version.id,
        "outputs": {name: output.id for name, output in outputs.items()},
        "dataset_version": version.id,
    }
    wanted = Wanted(
        id=job,
        owner=caller.user,
        spec=spec,
        job_type="CV_MODEL_TRAIN",
        target=Kind.EXPERIMENT,
        target_id=experiment.id,
        data=data,
    )
    ask(work, wanted, core.limits)


def _version(
    work: Work, model: Model, experiment: Experiment, planned: Plan, version: NewVersion, job: str
) -> ModelVersion:
    tl_type = {"classifier": "CLASSIFICATION", "detector": "LOCALIZATION", "decoder": "AUTOENCODER"}
    return ModelVersion(
        id=new_id(),
        organisation=work.organisation,
        created_at=work.now,
        updated_at=work.now,
        model=model.id,
        number=1,
        status=VersionStatus.TRAINING,
        stage=Stage.candidate,
        framework=planned.head.framework,
        architecture=planned.architecture.id,
        head=planned.head.id,
        tl_type=tl_type[planned.head.consumer],
        parameters=planned.parameters.model_dump(mode="json", exclude_none=True),
        dataset_version=version.id,
        experiment=experiment.id,
        job=job,
    )


async def _output(work: Work, caller: Caller, model: Model, album: Album, name: str, job: str) -> NewAlbum:
    wanted = f"{model.name} {album.name} {'OUT' if name == 'train' else 'TEST OUT'}"
    return NewAlbum(
        name=await work.albums.free_name(caller.user, wanted[:250]),
        label_mode=album.label_mode,
        type=AlbumType.TRAINRESULTS,
        status=AlbumStatus.SAVING,
        in_library=False,
        job=job,
    )


async def delete_experiment(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes an experiment with its results that are not saved in the library, and ends its jobs."""
    async with core.database.write(caller.organisation) as work:
        experiment = await work.experiments.get(identifier, lock=True)
        check_owner(caller, experiment)
        for process in await work.processes.live(Kind.EXPERIMENT, experiment.id):
            ask_cancel(work, process, caller.user)
        await forget_place(work, Kind.EXPERIMENT, experiment.id)
        await work.experiments.remove(experiment)
        await work.flush()
        await _remove_results(work, experiment.id)
        changed(work, Kind.EXPERIMENT, experiment.id, "deleted", by=caller)


async def _remove_results(work: Work, experiment: str) -> None:
    versions = await work.versions.all(work.versions.row.experiment == experiment)
    for version in versions:
        albums = await work.albums.all(work.albums.row.job == version.job, work.albums.row.in_library.is_(False))
        for album in albums:
            if not await work.predictions.using_album(album.id) and not await work.experiments.using(album.id):
                await remove_album(work, album)
        model = await work.models.get(version.model)
        version.experiment = None
        if model.in_library or await work.predictions.using_model(model.id):
            continue
        if not await work.deployments.using_model(model.id):
            await work.models.remove(model)
            changed(work, Kind.CV_MODEL, model.id, "deleted")
