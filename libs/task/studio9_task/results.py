"""What a task has found out: the artifact `result` (result.json), and `predictions.jsonl`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from studio9_task.augmentations import Step
from studio9_task.lines import read_lines
from studio9_task.model import Contract, Label, Name, Sha256, Versioned
from studio9_task.parameters import ExportFormat, Thresholds, TrainParameters
from studio9_task.shapes import Keypoints, Mask, RotatedBox
from studio9_task.tiles import TileSpec

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class LabelFigures(Contract):
    """How well one label is found. `ap50` and `ap50_95` are none where no picture shows the label."""

    label: Label
    ap50: Fraction | None = None
    ap50_95: Fraction | None = None
    boxes: Count = Field(description="true boxes")
    predicted: Count = Field(description="predicted boxes at the job's thresholds")


class ConfusionMatrix(Contract):
    """Rows are what is there, columns what was predicted; the last row and column are the background.

    `matrix[-1][j]`: predictions of label j where nothing is; `matrix[i][-1]`: boxes of label i not found.
    Matched greedily, strongest first, across labels, at IoU 0.5 and the job's thresholds.
    """

    labels: tuple[Label, ...]
    matrix: tuple[tuple[Count, ...], ...]


class Evaluation(Contract):
    """The figures of a model on the pictures of one input: of a detector average precision, recall and precision at
    confidence 0.25, of a classifier accuracy, of a decoder its reconstruction loss. Others are none."""

    input: Name
    pictures: Count
    boxes: Count = Field(description="true boxes; of a classifier its labelled pictures")
    predicted: Count = Field(description="predicted boxes at the job's thresholds; of a classifier pictures")
    labels: tuple[Label, ...]
    map50: Fraction | None = Field(default=None, description="COCO's mean average precision at IoU 0.5")
    map50_95: Fraction | None = Field(default=None, description="the same, mean over IoU 0.5 to 0.95")
    recall_at_025: Fraction | None = Field(
        default=None, description="part of the true boxes found at confidence 0.25, IoU 0.5, label right"
    )
    precision_at_025: Fraction | None = Field(
        default=None, description="part of the boxes at confidence 0.25 that are right"
    )
    accuracy: Fraction | None = Field(default=None, description="part of the pictures whose label is right")
    reconstruction_loss: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="mean squared error a pixel and colour, of values from 0 to 1"
    )
    per_class: tuple[LabelFigures, ...] = ()
    confusion: ConfusionMatrix | None = None


class Timings(Contract):
    """Where the time went, in seconds."""

    data_loading_s: Seconds = 0
    model_loading_s: Seconds = 0
    training_s: Seconds = 0
    model_saving_s: Seconds = 0
    prediction_s: Seconds = 0
    evaluation_s: Seconds = 0
    augmentation_s: Seconds = 0
    total_s: Seconds = 0


class Finding(Contract):
    """A warning that the run gave."""

    code: Name
    message: str


class Ran(Contract):
    """What the task ran on and with."""

    libraries: Mapping[str, str] = Field(default_factory=dict)
    python: str | None = None
    system: str | None = None
    cpu: str | None = None
    device: str = "cpu"
    gpu: str | None = None
    cuda: str | None = None
    driver: str | None = None
    threads: int = 1
    peak_rss_bytes: Count = 0


class StepCount(Contract):
    """How many pictures came of one requested augmentation."""

    augmentation: Step
    count: Count


class _Outcome(Versioned):
    labels: tuple[Label, ...] = ()
    timings: Timings = Timings()
    effective: Mapping[str, Any] = Field(default_factory=dict, description="every parameter as it was used")
    ran: Ran = Ran()
    warnings: tuple[Finding, ...] = ()


class TrainResult(_Outcome):
    """Of kind `train`. The model is the artifact `model`."""

    kind: Literal["train"] = "train"
    framework: Name
    architecture: str
    head: str
    pictures: Count
    boxes: Count
    epochs: Count = Field(description="asked for")
    epochs_done: Count
    best_epoch: Count | None = None
    resumed_from: Count | None = Field(default=None, description="epochs that an earlier attempt had finished")
    stopped: bool = Field(default=False, description="ended early because it was told to")
    augmentation: tuple[StepCount, ...] = Field(default=(), description="copies of the pictures that it fitted to")
    chosen: Thresholds | None = Field(default=None, description="best F1 on validation pictures; stored with the model")
    train: Evaluation | None = None
    val: Evaluation | None = None
    test: Evaluation | None = None


class EvaluateResult(_Outcome):
    """Of kind `evaluate`."""

    kind: Literal["evaluate"] = "evaluate"
    framework: Name
    test: Evaluation


class PredictResult(_Outcome):
    """Of kind `predict`."""

    kind: Literal["predict"] = "predict"
    framework: Name
    pictures: Count
    pictures_without: Count = Field(description="pictures with no prediction")
    pictures_failed: Count = Field(default=0, description="pictures that could not be decoded; see the warnings")
    boxes: Count


class ExportedFile(Contract):
    """A file that was made, relative to the outputs."""

    path: str
    size: Count
    sha256: Sha256


class ExportedFormat(Contract):
    """One format, and how far it is from the model that it was made from. Differences are none where nothing was
    compared; `accepted` is none where there were too few pictures to judge by."""

    format: ExportFormat
    files: tuple[ExportedFile, ...]
    accepted: bool | None = None
    pictures: Count = 0
    detections: Count = 0
    score_difference: float | None = None
    box_difference: float | None = Field(default=None, description="pixels of the input")
    same_results: bool | None = None
    map_drop: float | None = Field(
        default=None, description="points of mAP50-95, of a classifier of accuracy, of 100; negative: it gained"
    )


class ExportResult(_Outcome):
    """Of kind `export`."""

    kind: Literal["export"] = "export"
    framework: Name
    formats: tuple[ExportedFormat, ...]


class AugmentResult(_Outcome):
    """Of kind `augment`. The pictures are named in the artifact `manifest`."""

    kind: Literal["augment"] = "augment"
    framework: Name
    pictures: Count = Field(description="given")
    originals: Count = Field(description="of them in the manifest that came out")
    augmented: Count = Field(description="new pictures")
    boxes: Count = Field(description="shapes on the new pictures")
    boxes_dropped: Count = Field(description="shapes of which less than a fifth was left")
    steps: tuple[StepCount, ...] = ()


class AnalyseResult(_Outcome):
    """Of kind `analyse`. The whole is the artifact `analysis`."""

    kind: Literal["analyse"] = "analyse"
    framework: Name
    pictures: Count
    pictures_without: Count
    boxes: Count


class FramesResult(_Outcome):
    """Of kind `frames`. The pictures are named in the artifact `manifest`; width and height are those of the first."""

    kind: Literal["frames"] = "frames"
    framework: Name
    pictures: Count
    width: Count
    height: Count
    rate: float = Field(ge=0, description="frames a second")
    codec: str


class VideoResult(_Outcome):
    """Of kind `video`. The video is the artifact `video`."""

    kind: Literal["video"] = "video"
    framework: Name
    frames: Count = Field(description="pictures that it shows")
    boxes: Count = Field(description="drawn on them")
    width: Count
    height: Count
    rate: float = Field(ge=0, description="frames a second in which its times are counted")


class TileResult(_Outcome):
    """Of kind `tile`. The tiles are named in the artifact `manifest`; `spec` is how they were cut."""

    kind: Literal["tile"] = "tile"
    framework: Name
    pictures: Count = Field(description="given")
    tiles: Count
    boxes: Count = Field(description="shapes on the tiles")
    boxes_dropped: Count = Field(description="shapes of which a tile shows too little")
    blanks_dropped: Count = Field(default=0, description="tiles of one colour that another split has")
    spec: TileSpec


class TrialResult(_Outcome):
    """Of kind `trial`: `fitness` is the best so far, over all rungs; `val` where it was asked to judge its model."""

    kind: Literal["trial"] = "trial"
    framework: Name
    epochs_done: Count
    fitness: float
    val: Evaluation | None = None


class TriedSettings(Contract):
    """One set of settings; `values` are what it reached at each rung (epochs: fitness)."""

    number: Count
    settings: Mapping[str, Any]
    values: Mapping[int, float]
    state: Literal["running", "done", "pruned", "failed"]
    reason: str = ""


class TuneResult(_Outcome):
    """Of kind `tune`. The study is the artifact `study`, the model of the winner's best seed the artifact `model`; its
    labels are `labels`, its figures on the validation pictures `val`, and `parameters` what it was trained with."""

    kind: Literal["tune"] = "tune"
    framework: Name
    trials: tuple[TriedSettings, ...]
    winner: Count = Field(description="number of the best trial")
    settings: Mapping[str, Any]
    values: tuple[float, ...] = Field(description="what the winner reaches with other seeds")
    mean: float
    spread: float = Field(ge=0, description="standard deviation over the seeds")
    parameters: TrainParameters | None = None
    val: Evaluation | None = None


AnyResult = (
    TrainResult | EvaluateResult | PredictResult | ExportResult | AugmentResult | AnalyseResult | FramesResult
    | VideoResult | TileResult | TrialResult | TuneResult
)  # fmt: skip
TaskResult = Annotated[AnyResult, Field(discriminator="kind")]
RESULT: TypeAdapter[TaskResult] = TypeAdapter(TaskResult)
"""Validates a result of any kind (result.json, or an event's summary)."""


FoundShape = Annotated[Mask | Keypoints | RotatedBox, Field(discriminator="kind")]


class PredictedBox(Contract):
    """One predicted box in pixels of the upright picture, half-open; `index` counts within the picture.

    `shape`: where a model finds more than a box, what it found; the box is the one around it.
    """

    label: Label
    confidence: Fraction
    left: float
    top: float
    width: float = Field(gt=0)
    height: float = Field(gt=0)
    index: int = Field(ge=0)
    shape: FoundShape | None = None


class PredictedPicture(Contract):
    """One line of `predictions.jsonl`: a detector fills `boxes`, a classifier `label` and `scores`."""

    picture_id: str
    input: Name = Field(description="the manifest that named the picture")
    sha256: Sha256
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    boxes: tuple[PredictedBox, ...] = ()
    label: Label | None = None
    scores: Mapping[Label, Fraction] | None = None


def read_predictions(path: Path) -> Iterator[PredictedPicture]:
    """Stream `predictions.jsonl`; raises ManifestError naming file, line and field."""
    return read_lines(path, PredictedPicture)


def summary(result: AnyResult, limit: int = 32 * 1024) -> Mapping[str, Any]:
    """A result as small as an event may carry: without its large tables if it would exceed `limit` bytes."""
    if len(result.model_dump_json(exclude_none=True)) > limit:
        small: dict[str, Any] = {"effective": {}, "warnings": result.warnings[:10]}
        for name in ("train", "val", "test"):
            if (evaluation := getattr(result, name, None)) is not None:
                small[name] = evaluation.model_copy(update={"confusion": None, "per_class": ()})
        result = result.model_copy(update=small)
    return result.model_dump(mode="json", exclude_none=True)
