"""Videos of what was predicted on the frames of an album's video: a job of its own makes them, after the prediction.

The prediction is there before its video is, and stays whatever becomes of that: a video that fails, or is cancelled, is
a process that has failed, or was cancelled.
"""

from pathlib import PurePosixPath
from typing import Any

from studio9_baile.core import Core
from studio9_baile.jobs.results import BadResult
from studio9_baile.models.jobs import Process
from studio9_baile.models.learned import ModelVersion
from studio9_baile.models.pictures import Album, AlbumType
from studio9_baile.models.runs import Prediction
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.asking import Wanted, ask, new_job
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.keeping import keep
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_common.contracts.predictions import ManifestFile
from studio9_task.videos import FRAMES, KIND, PREDICTIONS, VideoParameters

RESULT_VIDEO = "result_video"
"""What a prediction's process says of the video that will be made: framework and parameters of the job, filename."""
SUFFIX, CONTENT_TYPE = ".mp4", "video/mp4"
"""What the trainers write."""


async def plan_video(core: Core, album: Album, version: ModelVersion) -> dict[str, Any]:
    """What the process of a detector's prediction on an album must remember, if there will be a video of it: the album
    has one, and a worker makes them."""
    if album.video is None or album.type is not AlbumType.SOURCE or version.tl_type != "LOCALIZATION":
        return {}
    catalogue = await core.catalogue.current()
    framework = next((task.framework for task in catalogue.tasks if task.kind == KIND), None)
    if framework is None:
        return {}
    known = {name: album.video[name] for name in ("rate", "every") if name in album.video}
    parameters = VideoParameters(**known, most_bytes=core.settings.max_video)
    filename = f"{PurePosixPath(album.video['filename']).stem}_predicted{SUFFIX}"
    plan = {"framework": framework, "parameters": parameters.model_dump(mode="json"), "filename": filename}
    return {RESULT_VIDEO: plan}


async def begin_video(
    core: Core, work: Work, process: Process, prediction: Prediction, predictions: ObjectRef
) -> Process:
    """Asks for the video that the process of a prediction has planned, once it has left its predictions."""
    plan = process.context[RESULT_VIDEO]
    ((name, album),) = process.context["outputs"].items()
    manifest = (await work.manifests.of(process.context["dataset_version"]))[name]
    frames = ObjectRef(key=manifest.key, sha256=manifest.sha256, size=manifest.size)
    spec = Spec(
        kind=KIND,
        framework=plan["framework"],
        parameters=plan["parameters"],
        inputs=(
            Input(name=FRAMES, kind="pictures", ref=frames),
            Input(name=f"{FRAMES}/{PREDICTIONS}", kind="file", ref=predictions),
        ),
        requirements=Requirements(),
        max_run_s=core.settings.video_limit_s,
        provenance=Provenance(
            model_id=prediction.model,
            model_version=prediction.model_version,
            dataset_version=process.context["dataset_version"],
        ),
    )
    wanted = Wanted(
        id=new_job(),
        owner=process.owner,
        spec=spec,
        job_type=process.job_type,
        target=Kind.CV_PREDICTION,
        target_id=prediction.id,
        data={
            "album": album,
            "filename": plan["filename"],
            "dataset_version": process.context["dataset_version"],
        },
    )
    return ask(work, wanted, core.limits)


async def keep_video(core: Core, organisation: str, file: ManifestFile) -> None:
    """Puts a video where videos lie: what a job stored goes with the job one day. Raises BadResult."""
    if not file.key.startswith(f"{organisation}/"):
        raise BadResult(f"{file.key} does not belong to the job's organisation")
    stream = await core.objects.stream(file.key)
    await keep(core, _key(organisation, file), stream, content_type=CONTENT_TYPE, sha256=file.sha256)


def album_video(core: Core, process: Process, file: ManifestFile) -> dict[str, Any]:
    """What the album of a prediction says of a video that is kept."""
    return {
        "key": _key(process.organisation, file),
        "profile": core.objects.profile,
        "filename": process.context["filename"],
        "size": file.size,
    }


def _key(organisation: str, file: ManifestFile) -> str:
    return f"{organisation}/videos/{file.sha256}/video{SUFFIX}"
