"""What an evaluation tells beyond its figures: curves, calibration, and what became of every single box."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from studio9_task.model import Contract, Label, Name, Sha256, Versioned
from studio9_task.parameters import Thresholds
from studio9_task.results import ConfusionMatrix, Count, Fraction

Points = tuple[Fraction | None, ...]


class LabelCurves(Contract):
    """One label's curves at IoU 0.5. None stands where nothing was predicted, or no picture shows the label."""

    label: Label
    ap50: Fraction | None = None
    ap50_95: Fraction | None = None
    boxes: Count = Field(description="true boxes")
    precision_at_recall: Points = Field(default=(), description="COCO's, at recall 0.00, 0.01 … 1.00")
    precision: Points = Field(description="at confidence 0.00, 0.01 … 1.00")
    recall: Points = Field(description="at the same confidences")
    f1: Points = Field(description="at the same confidences")


class Bin(Contract):
    """Predictions of similar confidence: how sure they were, and how many were right."""

    low: Fraction
    high: Fraction
    count: Count
    confidence: Fraction | None = Field(default=None, description="their mean")
    right: Fraction | None = Field(default=None, description="part of them that is right")


class Calibration(Contract):
    """Whether a confidence of 0.8 means right in 8 of 10 cases."""

    predictions: Count
    expected_error: Fraction = Field(description="mean of |confidence - part right| over bins, by their counts")
    brier: Fraction = Field(description="mean of (confidence - right)², right being 0 or 1")
    bins: tuple[Bin, ...]


class ChosenThresholds(Contract):
    """Confidences with the best F1, from validation pictures; they are stored with the model."""

    input: Name = Field(description="what they were chosen on; never the test pictures")
    thresholds: Thresholds
    f1: Mapping[Label, Fraction] = Field(description="at these confidences, for each label that the pictures show")


class EvaluationReport(Versioned):
    """The artifact `report` (report.json) of an evaluation."""

    input: Name
    pictures: Count
    boxes: Count
    labels: tuple[Label, ...]
    thresholds: Thresholds = Field(description="at which the matrix and the boxes are judged")
    map50: Fraction = Field(description="COCO's, through faster-coco-eval")
    map50_95: Fraction
    max_boxes: Count = Field(description="detections a picture and label that count in the two")
    framework: Mapping[str, float] = Field(
        default_factory=dict, description="the framework's own figures, by its names"
    )
    curves: tuple[LabelCurves, ...]
    confusion: ConfusionMatrix
    calibration: Calibration


class TrueBox(Contract):
    """A box that is there."""

    label: Label
    left: float
    top: float
    width: float
    height: float
    ignore: bool = False
    found: bool = Field(description="some predicted box takes it, whatever its label")


class JudgedBox(Contract):
    """A predicted box and its fate at the job's thresholds.

    `matched` is the place of the true box that it takes among the picture's, `iou` their overlap. It is right
    (a true positive) when their labels agree; it does not count when it lies in an ignored box.
    """

    label: Label
    confidence: Fraction
    left: float
    top: float
    width: float
    height: float
    right: bool
    counts: bool = True
    matched: Annotated[int, Field(ge=0)] | None = None
    iou: Fraction | None = None
    scores: Mapping[Label, Fraction] | None = Field(
        default=None, description="of every label, where the model tells them"
    )


class JudgedPicture(Contract):
    """One line of `judged.jsonl`."""

    picture_id: str
    input: Name
    sha256: Sha256
    filename: str
    true: tuple[TrueBox, ...]
    predicted: tuple[JudgedBox, ...]

    @property
    def wrong(self) -> int:
        """False alarms, wrong labels and boxes that were not found."""
        missed = sum(not (box.found or box.ignore) for box in self.true)
        return missed + sum(box.counts and not box.right for box in self.predicted)


class LabelQuality(Contract):
    """How well one label is told from the others."""

    label: Label
    pictures: Count = Field(description="that show it")
    predicted: Count
    precision: Fraction | None = Field(default=None, description="none where it was never predicted")
    recall: Fraction | None = Field(default=None, description="none where no picture shows it")
    f1: Fraction
    average_precision: Fraction | None = Field(default=None, description="of its scores; none as for recall")


class ClassificationReport(Versioned):
    """The artifact `report` (report.json) of a classifier's evaluation, over the pictures with a label."""

    input: Name
    pictures: Count
    labels: tuple[Label, ...]
    accuracy: Fraction
    in_best_five: Fraction = Field(description="part of the pictures whose label is among the five best")
    log_loss: float = Field(ge=0, description="mean of -log of the true label's score, at most 27.6 each")
    per_label: tuple[LabelQuality, ...]
    confusion: ConfusionMatrix
    calibration: Calibration
