"""Figures of a detector on labelled pictures: COCO's mAP, confusion matrix, recall and precision."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from studio9_task.parameters import Thresholds
from studio9_task.results import ConfusionMatrix, Evaluation, LabelFigures
from studio9_task.shapes import Box
from studio9_trainers.data.dataset import Mark
from studio9_trainers.detections import Detections, Floats, Ints
from studio9_trainers.evaluation.average_precision import average_precision
from studio9_trainers.evaluation.matching import Flags, match

Matrix = np.ndarray[Any, np.dtype[np.int64]]

FIXED_CONFIDENCE = 0.25
"""Of `recall_at_025` and `precision_at_025`, whatever the job's own thresholds are."""


@dataclass(frozen=True)
class Judged:
    """One picture: what is there, and what was found at a low confidence. Ignored boxes have `ignore` true.

    `marks`: where a task learns from more than boxes, the shape in each true box.
    """

    corners: Floats
    labels: Ints
    ignore: Flags
    found: Detections
    marks: tuple[Mark, ...] = ()


@runtime_checkable
class HasOwnFigures(Protocol):
    """A model whose framework has figures of its own."""

    def own_figures(self, pictures: list[Judged], labels: int) -> dict[str, float]:
        """By the framework's names, each beginning with its own: `ultralytics/mAP50`."""


def judged(boxes: Iterable[Box], found: Detections, names: tuple[str, ...], marks: tuple[Mark, ...] = ()) -> Judged:
    """Put a picture's true boxes beside its detections; `names` must hold every label."""
    index = {name: number for number, name in enumerate(names)}
    known = list(boxes)
    return Judged(
        corners=np.array([box.corners for box in known], dtype=np.float64).reshape(-1, 4),
        labels=np.array([index[box.label] for box in known], dtype=np.int64),
        ignore=np.array([box.ignore for box in known], dtype=bool),
        found=found,
        marks=marks,
    )


def evaluate(pictures: list[Judged], names: tuple[str, ...], thresholds: Thresholds, source: str) -> Evaluation:
    """All figures of one input. Boxes marked `ignore` count neither as hit nor as miss."""
    precision = average_precision(pictures, len(names), max(100, thresholds.max_boxes))
    matrix = _matrix(pictures, names, thresholds)
    hits = fixed = 0
    for picture in pictures:
        strong = picture.found.above(FIXED_CONFIDENCE)
        taken = match(strong, picture.corners, picture.labels, picture.ignore)
        ignored = np.array([index >= 0 and picture.ignore[index] for index in taken], dtype=bool)
        hits += int(((taken >= 0) & ~ignored).sum())
        fixed += len(strong) - int(ignored.sum())
    true = sum(int((~picture.ignore).sum()) for picture in pictures)
    return Evaluation(
        input=source,
        pictures=len(pictures),
        boxes=true,
        predicted=int(matrix[:, :-1].sum()),
        labels=names,
        map50=precision.map50,
        map50_95=precision.map50_95,
        recall_at_025=hits / true if true else 0.0,
        precision_at_025=hits / fixed if fixed else 0.0,
        per_class=tuple(
            LabelFigures(
                label=name,
                ap50=precision.ap50[number],
                ap50_95=precision.ap50_95[number],
                boxes=int(matrix[number].sum()),
                predicted=int(matrix[:, number].sum()),
            )
            for number, name in enumerate(names)
        ),
        confusion=_told(matrix, names),
    )


def confusion_matrix(pictures: list[Judged], names: tuple[str, ...], thresholds: Thresholds) -> ConfusionMatrix:
    """What was taken for what, at the job's thresholds; rows are what is there."""
    return _told(_matrix(pictures, names, thresholds), names)


def _told(matrix: Matrix, names: tuple[str, ...]) -> ConfusionMatrix:
    return ConfusionMatrix(labels=names, matrix=tuple(tuple(map(int, row)) for row in matrix))


def _matrix(pictures: list[Judged], names: tuple[str, ...], thresholds: Thresholds) -> Matrix:
    matrix = np.zeros((len(names) + 1, len(names) + 1), dtype=np.int64)
    for picture in pictures:
        _count(matrix, picture, thresholds, names)
    return matrix


def _count(matrix: Matrix, picture: Judged, thresholds: Thresholds, names: tuple[str, ...]) -> None:
    """Add one picture to the confusion matrix: across labels, so that a wrong label shows as one."""
    counted = picture.found.at(thresholds, names)
    taken = match(counted, picture.corners, ignore=picture.ignore)
    for label, index in zip(counted.labels, taken, strict=True):
        if index < 0:
            matrix[-1, label] += 1
        elif not picture.ignore[index]:
            matrix[picture.labels[index], label] += 1
    for index in set(range(len(picture.labels))) - set(taken.tolist()):
        if not picture.ignore[index]:
            matrix[picture.labels[index], -1] += 1
