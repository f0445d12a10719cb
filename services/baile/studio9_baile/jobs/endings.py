"""The last transaction of a job: its assets become what the result says, together with its process."""

from collections.abc import Mapping
from typing import Any

from studio9_baile.core import Core
from studio9_baile.jobs.news import Ended
from studio9_baile.jobs.results import BadResult
from studio9_baile.jobs.summaries import (
    augmentation_summary,
    augmentation_times,
    evaluation_times,
    prediction_times,
    summary,
    train_times,
)
from studio9_baile.jobs.telling import tell
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.models.learned import ModelVersion, VersionStatus
from studio9_baile.models.pictures import AlbumStatus
from studio9_baile.models.runs import Experiment, ExperimentStatus, PredictionStatus
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.notifying import notify_ended
from studio9_baile.usecases.pipeline import STEPS
from studio9_baile.usecases.result_videos import RESULT_VIDEO, begin_video
from studio9_baile.usecases.steps import TRAINING, begin
from studio9_common.contracts.job import ObjectRef, State
from studio9_task.results import (
    AugmentResult,
    EvaluateResult,
    FramesResult,
    PredictResult,
    TrainResult,
    TuneResult,
)
from studio9_task.videos import KIND as VIDEO
from studio9_task.videos import LEAST_RATE, MOST_RATE

STATUSES = {
    State.completed: ProcessStatus.COMPLETED,
    State.failed: ProcessStatus.FAILED,
    State.cancelled: ProcessStatus.CANCELLED,
}


def close(work: Work, process: Process, status: ProcessStatus, cause: str | None = None) -> None:
    """The process has come to its end, and so has its result."""
    process.status, process.cause = status, cause
    process.result_state = ResultState.done
    process.progress = 1.0 if status is ProcessStatus.COMPLETED else process.progress
    process.remaining_s = None
    process.fill_after = None
    if process.ended_at is None:
        process.ended_at = work.now
    tell(work, process)
    notify_ended(work, process)


async def trained(
    core: Core, work: Work, process: Process, ended: Ended, result: TrainResult, artifact: ObjectRef
) -> None:
    """A training has succeeded: its model version has weights, labels and figures, its experiment a result. A step that
    waits for it begins, unless somebody wants it all to end."""
    version = await work.versions.find(process.context["model_version"])
    if version is not None:
        _version_ready(core, work, version, result, artifact)
    experiment = await work.experiments.find(process.target_id, lock=True)
    if experiment is not None:
        step = _references(process.context) | _tables(process.context)
        own = result.train or result.val
        if own is not None:
            step["summary"] = summary(own)
        if result.test is not None:
            step["testSummary"] = summary(result.test)
            step["evaluationTimeSpentSummary"] = evaluation_times(result.timings, ended)
        step["trainTimeSpentSummary"] = train_times(result.timings, ended)
        if result.augmentation:
            step["augmentationSummary"] = augmentation_summary(result)
        experiment.result = _with_step(experiment, process, step)
        await _go_on(core, work, process, experiment, version)
        changed(work, Kind.EXPERIMENT, experiment.id, "updated", status=experiment.status)
    await albums_are(work, process, AlbumStatus.ACTIVE)


async def tuned(core: Core, work: Work, process: Process, result: TuneResult, artifact: ObjectRef) -> None:
    """A search has succeeded: its model version is the best model, with the settings that it was trained with. Raises
    BadResult where the result does not say them."""
    if result.parameters is None:
        # One of before `parameters` and `val` came: a version of it would say settings that it was not trained with.
        raise BadResult("the search was done by a worker of an earlier version: upgrade it, and search again")
    version = await work.versions.find(process.context["model_version"])
    if version is not None:
        version.parameters = result.parameters.model_dump(mode="json", exclude_none=True)
        _version_ready(core, work, version, result, artifact)


def _version_ready(
    core: Core, work: Work, version: ModelVersion, result: TrainResult | TuneResult, artifact: ObjectRef
) -> None:
    version.status, version.updated_at = VersionStatus.ACTIVE, work.now
    version.labels = list(result.labels)
    version.figures = _figures(result)
    version.artifact_key, version.artifact_profile = artifact.key, core.objects.profile
    version.artifact_sha256, version.artifact_size = artifact.sha256, artifact.size
    changed(work, Kind.CV_MODEL, version.model, "updated", status=version.status)


def _with_step(experiment: Experiment, process: Process, step: dict[str, Any]) -> dict[str, Any]:
    return {**(experiment.result or {}), process.context.get("step", STEPS[0]): step}


async def _go_on(
    core: Core, work: Work, process: Process, experiment: Experiment, trained: ModelVersion | None
) -> None:
    """What becomes of an experiment at the end of a step."""
    waiting = process.context.get("then")
    if waiting is None:
        experiment.status = ExperimentStatus.COMPLETED
    elif process.cancel_requested_at is not None or trained is None:
        experiment.status = ExperimentStatus.CANCELLED
    else:
        await begin(core, work, experiment, TRAINING.validate_python(waiting), trained)


def _figures(result: TrainResult | TuneResult) -> dict[str, Any]:
    inputs = {"val": result.val}
    if isinstance(result, TrainResult):
        inputs = {"train": result.train, **inputs, "test": result.test}
    return {
        name: figures.model_dump(mode="json", exclude_none=True)
        for name, figures in inputs.items()
        if figures is not None
    }


def _references(context: Mapping[str, Any]) -> dict[str, Any]:
    """What a result names whether the training succeeded or not."""
    outputs = context["outputs"]
    found = {"cvModelId": context["model"], "output": outputs["train"]}
    if "test" in outputs:
        found["testOutput"] = outputs["test"]
    if "sample" in context:
        found["augmentedSampleAlbum"] = context["sample"]
    return found


def _tables(context: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a result: views of its albums."""
    outputs = context["outputs"]
    found = {"probabilityPredictionTableId": outputs["train"]}
    if "test" in outputs:
        found["testProbabilityPredictionTableId"] = outputs["test"]
    return found


async def predicted(
    core: Core,
    work: Work,
    process: Process,
    ended: Ended,
    result: PredictResult | EvaluateResult,
    predictions: ObjectRef,
) -> None:
    """A prediction or evaluation has succeeded; where its album shall have a video, a job that makes it begins."""
    prediction = await work.predictions.find(process.target_id, lock=True)
    if prediction is not None:
        prediction.status = PredictionStatus.DONE
        times: dict[str, Any] = {"predictionTimeSpentSummary": prediction_times(result.timings, ended)}
        if isinstance(result, EvaluateResult):
            prediction.summary = summary(result.test)
            times["evaluationTimeSpentSummary"] = evaluation_times(result.timings, ended)
        prediction.times = times
        changed(work, Kind.CV_PREDICTION, prediction.id, "updated", status=prediction.status)
        if RESULT_VIDEO in process.context and process.cancel_requested_at is None:
            await begin_video(core, work, process, prediction, predictions)
    await albums_are(work, process, AlbumStatus.ACTIVE)


async def filmed(work: Work, process: Process, video: dict[str, Any]) -> None:
    """The video of a prediction is there: its album shows it, unless it is gone."""
    album = await work.albums.find(process.context["album"], lock=True)
    if album is not None:
        album.video = video
        changed(work, Kind.ALBUM, album.id, "updated", status=album.status)


async def augmented(work: Work, process: Process, ended: Ended, result: AugmentResult) -> None:
    """An augmentation has succeeded: its album can be used, and says where the time went."""
    for identifier in process.context["outputs"].values():
        album = await work.albums.find(identifier, lock=True)
        if album is not None:
            album.times = augmentation_times(result.timings, ended)
    await albums_are(work, process, AlbumStatus.ACTIVE)


async def streamed(work: Work, process: Process) -> None:
    """A batch of a deployment has arrived in its album."""
    for album in process.context["outputs"].values():
        changed(work, Kind.ALBUM, album, "filled")


async def albums_are(work: Work, process: Process, status: AlbumStatus) -> None:
    """The albums that the job fills get this status."""
    sample = process.context.get("sample")
    for identifier in (*process.context["outputs"].values(), *((sample,) if sample else ())):
        album = await work.albums.find(identifier, lock=True)
        if album is not None and album.status is AlbumStatus.SAVING:
            album.status = status
            changed(work, Kind.ALBUM, album.id, "updated", status=status)


async def framed(work: Work, process: Process, result: FramesResult) -> None:
    """The frames of a video are in their album, which keeps the video."""
    album = await work.albums.find(process.target_id, lock=True)
    video = process.context.get("video")
    if album is not None and video is not None:
        rate = {"rate": result.rate} if LEAST_RATE <= result.rate <= MOST_RATE else {}
        album.video = {**video, **rate, "every": process.context["every"]}
    await released(work, process)


async def released(work: Work, process: Process) -> None:
    """The album that pictures came into can be used again, whatever came."""
    album = await work.albums.find(process.target_id, lock=True)
    if album is not None and album.status is AlbumStatus.UPLOADING:
        album.status = AlbumStatus.ACTIVE
        changed(work, Kind.ALBUM, album.id, "updated", status=album.status)


async def failed(work: Work, process: Process, *, cancelled: bool) -> None:
    """Nothing came of the job: its assets say so. A prediction is none the worse for want of its video."""
    if process.kind == VIDEO:
        return
    if process.target in (Kind.EXPERIMENT, Kind.CV_MODEL):
        version = await work.versions.find(process.context.get("model_version", ""))
        if version is not None:
            _version_failed(work, version, cancelled)
        experiment = await work.experiments.find(process.target_id, lock=True)
        if experiment is not None:
            experiment.status = ExperimentStatus.CANCELLED if cancelled else ExperimentStatus.ERROR
            experiment.result = _with_step(experiment, process, _references(process.context))
            changed(work, Kind.EXPERIMENT, experiment.id, "updated", status=experiment.status)
    elif process.target == Kind.CV_PREDICTION:
        prediction = await work.predictions.find(process.target_id, lock=True)
        if prediction is not None:
            prediction.status = PredictionStatus.ERROR
            changed(work, Kind.CV_PREDICTION, prediction.id, "updated", status=prediction.status)
    elif process.target == Kind.ALBUM:
        await released(work, process)
    if process.target != Kind.ONLINE_JOB:
        await albums_are(work, process, AlbumStatus.ERROR)


def _version_failed(work: Work, version: ModelVersion, cancelled: bool) -> None:
    version.status = VersionStatus.CANCELLED if cancelled else VersionStatus.ERROR
    version.updated_at = work.now
    changed(work, Kind.CV_MODEL, version.model, "updated", status=version.status)
