"""Experiments: a training from an album, its test on another, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import ModelVersion
from studio9_baile.models.pictures import Album, AlbumStatus
from studio9_baile.models.runs import Experiment, ExperimentStatus
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.albums import remove_album
from studio9_baile.usecases.asking import ask_cancel
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, forget_place
from studio9_baile.usecases.datasets import write_version
from studio9_baile.usecases.pipeline import TYPE, Plan, Step, plan
from studio9_baile.usecases.predictions import weights
from studio9_baile.usecases.steps import begin, prepare
from studio9_common.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExperiment:
    """An experiment to be started with one step or two; `pipeline` is kept as it was posted."""

    name: str | None
    description: str | None
    steps: Sequence[Step]
    pipeline: dict[str, Any]


async def create_experiment(core: Core, caller: Caller, new: NewExperiment) -> Experiment:
    """Starts a training: the manifests of all steps are written first, then all assets of the first step, its process
    and its request in one transaction. Raises BadInput, Conflict, NotFound; then nothing is left but unnamed
    manifests."""
    name = name_of(Kind.EXPERIMENT, new.name)
    description = text(new.description, "description")
    extractor = await _extractor(core, caller, new.steps[0])
    plans = await _plans(core, new.steps, extractor)
    async with core.database.read(caller.organisation) as work:
        await check_name(work, Kind.EXPERIMENT, caller.user, name)
        albums = [await _albums(work, caller, step, planned) for step, planned in zip(new.steps, plans, strict=True)]
    versions = [await write_version(core, caller, "train", one) for one in albums]
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.EXPERIMENT, caller.user, name)
        experiment = work.experiments.make(
            owner=caller.user,
            name=name,
            description=description,
            type=TYPE,
            status=ExperimentStatus.RUNNING,
            pipeline=new.pipeline,
            result=None,
        )
        first, *rest = (
            prepare(core, work, caller, step.name, planned, version, inputs)
            for step, planned, version, inputs in zip(new.steps, plans, versions, albums, strict=True)
        )
        await work.flush()
        await begin(core, work, experiment, first, extractor, rest[0] if rest else None)
        changed(work, Kind.EXPERIMENT, experiment.id, "created", by=caller, status=experiment.status)
    return experiment


async def _plans(core: Core, steps: Sequence[Step], extractor: ModelVersion | None) -> list[Plan]:
    """What each step trains; a later one trains on the architecture of the one before."""
    catalogue = await core.catalogue.current()
    found: list[Plan] = []
    architecture = None if extractor is None else extractor.architecture
    for step in steps:
        found.append(plan(step, catalogue, architecture))
        architecture = found[-1].architecture.id
    return found


async def _albums(work: Work, caller: Caller, step: Step, planned: Plan) -> dict[str, Album]:
    """The albums of a step by input."""
    found = {"train": await _usable(work, caller, step.input, f"{step.place}.input", planned)}
    if step.test_input is not None:
        found["test"] = await _usable(work, caller, step.test_input, f"{step.place}.testInput", planned)
    await _check_labels(work, found["train"], step)
    return found


async def _extractor(core: Core, caller: Caller, step: Step) -> ModelVersion | None:
    """The model that a training begins with, where the step names one and no architecture. Raises BadInput."""
    if step.architecture is not None or step.feature_extractor is None:
        return None
    field = f"{step.place}.featureExtractorModelId"
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


async def _check_labels(work: Work, album: Album, step: Step) -> None:
    if not step.labels:
        return
    known = {label for label, _ in await work.labels.counts(album.id, [False])}
    for number, one in enumerate(step.labels):
        if one.label not in known:
            raise BadInput(
                f"Label of interest {one.label!r} has no box in the album",
                field=f"{step.place}.trainParams.loi.{number}.label",
                value=one.label,
                fix=f"use one of {', '.join(sorted(known)[:20])}",
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
