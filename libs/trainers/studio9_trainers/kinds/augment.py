"""Kind `augment`: an album's pictures turned, cropped, blurred and so on, with their labels, as a new album."""

from collections.abc import Iterator

from pydantic import ValidationError

from studio9_task.augmentations import AugmentedRecord, AugmentParameters, Mirroring
from studio9_task.lines import write_lines
from studio9_task.pictures import read_manifest
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import AugmentResult, StepCount
from studio9_trainers.augmentation.album import Bloated, augmented, is_jpeg, plan
from studio9_trainers.augmentation.usual import may_be_mirrored
from studio9_trainers.data.dataset import Picture, read_pictures
from studio9_trainers.errors import UserError
from studio9_trainers.kinds.material import described
from studio9_trainers.machine import ran
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run

INPUT = "pictures"


def augment(run: Run, request: TaskRequest) -> AugmentResult:
    """Do it. Input: `pictures`. Outputs: `manifest.jsonl`, and the new files `pictures/<sha256>`, each announced."""
    try:
        parameters = AugmentParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        empty = next(iter(read_manifest(run.folder.manifest(INPUT))), None) is None
        pictures = () if empty else read_pictures(run.folder, INPUT).pictures
    _warn(run, parameters, pictures)
    done = Bloated([0] * len(parameters.augmentations), names={one.record.filename for one in pictures})
    with run.timed("augmentation"):
        manifest, lines = write_lines(
            run.folder.outputs / "manifest.jsonl", _records(run, request.seed, parameters, pictures, done)
        )
    run.events.artifact("manifest", manifest, "application/jsonl")
    new = sum(done.counts)
    return AugmentResult(
        framework=request.framework,
        labels=tuple(sorted({shape.label for one in pictures for shape in one.record.annotations})),
        pictures=len(pictures),
        originals=lines - new,
        augmented=new,
        boxes=done.boxes,
        boxes_dropped=done.dropped,
        steps=tuple(
            StepCount(augmentation=step, count=count)
            for step, count in zip(parameters.augmentations, done.counts, strict=True)
        ),
        timings=run.timings(),
        effective=parameters.model_dump(mode="json")
        | {"seed": request.seed, "datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _records(
    run: Run, seed: int, parameters: AugmentParameters, pictures: tuple[Picture, ...], done: Bloated
) -> Iterator[AugmentedRecord]:
    if parameters.include_original_pictures:
        for picture in pictures:
            yield AugmentedRecord.model_validate(picture.record.model_dump())
    steps, bloat_factor = parameters.augmentations, parameters.bloat_factor
    told = PictureCount(run.events, sum(1 for _ in plan(len(pictures), bloat_factor, len(steps))))

    def passed() -> None:
        told.one_more()
        run.stop.check()

    folder = run.folder.outputs / "pictures"
    for record, written in augmented(pictures, steps, bloat_factor, seed, folder, done, passed):
        run.events.artifact("picture", written, "image/jpeg" if is_jpeg(written.path) else "image/png")
        yield record


def _warn(run: Run, parameters: AugmentParameters, pictures: tuple[Picture, ...]) -> None:
    labels = {shape.label for picture in pictures for shape in picture.record.annotations}
    if any(isinstance(step, Mirroring) for step in parameters.augmentations) and not may_be_mirrored(labels):
        run.warn(
            "mirrored_text",
            "Labels tell of text, digits or sides, which a mirrored picture shows no more: leave MIRRORING out.",
        )
