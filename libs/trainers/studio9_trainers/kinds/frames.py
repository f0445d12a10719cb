"""Kind `frames`: each so-many-th frame of a video as a picture that knows its number."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from studio9_task.frames import VIDEO, FrameRecord, FramesParameters
from studio9_task.lines import write_lines
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import FramesResult
from studio9_trainers.data.video import BadVideo, VideoFacts, video_facts
from studio9_trainers.data.video_pictures import frame_pictures
from studio9_trainers.errors import BadInput, UserError
from studio9_trainers.machine import ran
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run


def frames(run: Run, request: TaskRequest) -> FramesResult:
    """Do it. Input: `video`. Outputs: `manifest.jsonl`, and the files `pictures/<sha256>`, each announced."""
    try:
        parameters = FramesParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    video = _video(run)
    with run.timed("data_loading"):
        facts = video_facts(video, parameters.name)
        manifest, count = write_lines(run.folder.outputs / "manifest.jsonl", _records(run, video, parameters, facts))
    run.events.artifact("manifest", manifest, "application/jsonl")
    return FramesResult(
        framework=request.framework,
        pictures=count,
        width=facts.width,
        height=facts.height,
        rate=float(facts.rate),
        codec=facts.codec,
        timings=run.timings(),
        effective=parameters.model_dump(mode="json"),
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _video(run: Run) -> Path:
    found = sorted(run.folder.input(VIDEO).glob(f"{VIDEO}*"))
    if len(found) != 1:
        raise BadInput("inputs: there is no video: give one file as the input video.")
    return found[0]


def _records(run: Run, video: Path, parameters: FramesParameters, facts: VideoFacts) -> Iterator[FrameRecord]:
    # A file's head may lie about the number of frames: it only says how far it is.
    told = PictureCount(run.events, -(-(facts.frames or 0) // parameters.every))
    seen: set[str] = set()
    made = frame_pictures(video, run.folder.outputs / "pictures", parameters.every, parameters.name)
    for count, (number, record, written) in enumerate(made):
        if count == parameters.most:
            raise BadVideo(
                f"{parameters.name} has more than {parameters.most} frames to take: take fewer of them, as each "
                f"{2 * parameters.every}th."
            )
        if record.sha256 not in seen:
            seen.add(record.sha256)
            run.events.artifact("picture", written, "image/jpeg")
        told.one_more()
        run.stop.check()
        yield FrameRecord.model_validate({**record.model_dump(), "frame": number})
