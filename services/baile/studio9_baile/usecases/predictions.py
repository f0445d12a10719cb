"""Predictions: a model on an album, with or without comparing it to the labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import Model, ModelVersion, VersionStatus
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.models.runs import Prediction, PredictionStatus
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.albums import NewAlbum, add_album, remove_album
from studio9_baile.usecases.asking import Wanted, ask, ask_cancel, new_job
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, forget_place, made_from
from studio9_baile.usecases.code_packages import code_of
from studio9_baile.usecases.datasets import NewVersion, add_version, write_version
from studio9_baile.usecases.pipeline import LabelOfInterest, thresholds
from studio9_baile.usecases.result_videos import plan_video
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_common.errors import BadInput
from studio9_task.layout import MODEL
from studio9_task.parameters import EvaluateParameters, PredictParameters, Thresholds

OUTPUT_MODES = {"CLASSIFICATION": LabelMode.CLASSIFICATION, "LOCALIZATION": LabelMode.LOCALIZATION}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrediction:
    """A prediction to be started. `options` is kept as it was posted."""

    model: str
    input: str
    name: str | None
    output_name: str | None = None
    description: str | None = None
    evaluate: bool = False
    labels: Sequence[LabelOfInterest] = ()
    threshold: float | None = None
    iou: float | None = None
    options: dict[str, Any] | None = None


def weights(version: ModelVersion, field: str = "modelId") -> ObjectRef:
    """The object with a model version's weights. Raises BadInput, naming the field, if there is none (yet)."""
    if (
        version.status is not VersionStatus.ACTIVE
        or version.artifact_key is None
        or version.artifact_sha256 is None
        or version.artifact_size is None
    ):
        raise BadInput(
            "CV Model provided is not active", field=field, value=version.status.value, fix="wait until it is"
        )
    return ObjectRef(key=version.artifact_key, sha256=version.artifact_sha256, size=version.artifact_size)


async def usable_model(
    work: Work, caller: Caller, identifier: str, field: str, missing: str
) -> tuple[Model, ModelVersion]:
    """A model that can be applied, with its newest version; `missing` says that there is none. Raises BadInput."""
    model = await work.models.find(identifier)
    if model is None:
        raise BadInput(missing, field=field, value=identifier[:100], fix="choose one of your models")
    await check_read(work, caller, Kind.CV_MODEL, model)
    version = await work.versions.latest_of(model.id)
    weights(version, field)
    if version.tl_type not in OUTPUT_MODES:
        raise BadInput(
            "This CV Model can be used only for transfer learning train",
            field=field,
            value=identifier[:100],
            fix="choose another model",
        )
    return model, version


async def create_prediction(core: Core, caller: Caller, new: NewPrediction) -> Prediction:
    """Starts a prediction: its manifest is written first, then everything else in one transaction."""
    name = name_of(Kind.CV_PREDICTION, new.name)
    description = text(new.description, "description")
    async with core.database.read(caller.organisation) as work:
        await check_name(work, Kind.CV_PREDICTION, caller.user, name)
        model, version = await usable_model(work, caller, new.model, "modelId", "CV Model not found for cv prediction")
        album = await _usable_album(work, caller, new, version)
        known = Thresholds.model_validate(version.parameters.get("thresholds", {}))
    _check_interest(new.labels, version)
    limits = None
    if new.labels or new.threshold is not None or new.iou is not None:
        limits = thresholds(new.threshold, new.iou, new.labels, "options.", known)
    kind = "evaluate" if new.evaluate else "predict"
    video = await plan_video(core, album, version)
    written = await write_version(core, caller, kind, {"test" if new.evaluate else "predict": album})
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.CV_PREDICTION, caller.user, name)
        job = new_job()
        add_version(work, caller.user, written, core.objects.profile, job)
        output = add_album(work, caller.user, await _output(work, caller, new, name, version, job))
        await work.flush()
        prediction = work.predictions.make(
            owner=caller.user,
            name=name,
            description=description,
            status=PredictionStatus.RUNNING,
            evaluate=new.evaluate,
            model=model.id,
            model_version=version.id,
            input=album.id,
            output=output.id,
            dataset_version=written.id,
            options=new.options,
        )
        made_from(work, Kind.ALBUM, output.id, Kind.ALBUM, album.id, kind, job)
        made_from(work, Kind.ALBUM, output.id, Kind.MODEL_VERSION, version.id, "predicted_by", job)
        ask(
            work,
            _wanted(core, prediction, version, written, limits, kind, job, await code_of(work, version), video),
            core.limits,
        )
        changed(work, Kind.CV_PREDICTION, prediction.id, "created", by=caller, status=prediction.status)
        changed(work, Kind.ALBUM, output.id, "created", status=output.status)
    return prediction


async def _usable_album(work: Work, caller: Caller, new: NewPrediction, version: ModelVersion) -> Album:
    album = await work.albums.find(new.input)
    if album is None:
        raise BadInput(
            "Album not found for creating cv prediction",
            field="input",
            value=new.input[:100],
            fix="choose one of your albums",
        )
    await check_read(work, caller, Kind.ALBUM, album)
    if album.status is not AlbumStatus.ACTIVE:
        raise BadInput(f"Album {album.name} is not active", field="input", value=album.status.value, fix="wait")
    if await work.pictures.count(work.pictures.row.album == album.id) == 0:
        raise BadInput("No pictures were found in input album", field="input", fix="upload pictures first")
    if new.evaluate:
        if album.label_mode is not OUTPUT_MODES[version.tl_type]:
            raise BadInput(
                "Album label mode not supported",
                field="input",
                value=album.label_mode.value,
                fix=f"choose an album of label mode {version.tl_type}",
            )
        if not await work.labels.counts(album.id, [False]):
            raise BadInput(f"No picture of album {album.name} is labelled", field="input", fix="label some, or predict")
    return album


def _check_interest(labels: Sequence[LabelOfInterest], version: ModelVersion) -> None:
    for number, one in enumerate(labels):
        if one.label not in (version.labels or []):
            raise BadInput(
                f"The model does not know the label {one.label!r}",
                field=f"options.loi.{number}.label",
                value=one.label,
                fix=f"use one of {', '.join((version.labels or [])[:20])}",
            )


async def _output(
    work: Work, caller: Caller, new: NewPrediction, name: str, version: ModelVersion, job: str
) -> NewAlbum:
    wanted = name_of(Kind.ALBUM, new.output_name, "outputAlbumName") if new.output_name else f"{name} OUT"
    return NewAlbum(
        name=await work.albums.free_name(caller.user, wanted),
        label_mode=OUTPUT_MODES[version.tl_type],
        type=AlbumType.TRAINRESULTS if new.evaluate else AlbumType.DERIVED,
        status=AlbumStatus.SAVING,
        in_library=False,
        job=job,
    )


def _wanted(
    core: Core,
    prediction: Prediction,
    version: ModelVersion,
    written: NewVersion,
    limits: Thresholds | None,
    kind: str,
    job: str,
    code: tuple[Input, ...],
    video: dict[str, Any],
) -> Wanted:
    parameters = EvaluateParameters(thresholds=limits) if prediction.evaluate else PredictParameters(thresholds=limits)
    spec = Spec(
        kind=kind,
        framework=version.framework,
        parameters=parameters.model_dump(mode="json", exclude_none=True),
        inputs=(Input(name=MODEL, kind="file", ref=weights(version)), *code, *written.inputs),
        requirements=Requirements(gpus=core.settings.predict_gpus),
        provenance=Provenance(
            model_id=prediction.model, model_version=version.id, dataset_version=version.dataset_version
        ),
    )
    data = {"model_version": version.id, "outputs": {written.manifests[0].name: prediction.output}}
    return Wanted(
        id=job,
        owner=prediction.owner,
        spec=spec,
        job_type="CV_MODEL_EVALUATE" if prediction.evaluate else "CV_MODEL_PREDICT",
        target=Kind.CV_PREDICTION,
        target_id=prediction.id,
        data={**data, "dataset_version": written.id, **video},
    )


async def delete_prediction(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes a prediction, its output album unless it is saved or used elsewhere, and ends its job."""
    async with core.database.write(caller.organisation) as work:
        prediction = await work.predictions.get(identifier, lock=True)
        check_owner(caller, prediction)
        for process in await work.processes.live(Kind.CV_PREDICTION, prediction.id):
            ask_cancel(work, process, caller.user)
        await forget_place(work, Kind.CV_PREDICTION, prediction.id)
        output = prediction.output
        await work.predictions.remove(prediction)
        await work.flush()
        album = await work.albums.find(output)
        if album is not None and not album.in_library:
            used = await work.predictions.using_album(album.id) or await work.experiments.using(album.id)
            if not used:
                await remove_album(work, album)
        changed(work, Kind.CV_PREDICTION, prediction.id, "deleted", by=caller)
