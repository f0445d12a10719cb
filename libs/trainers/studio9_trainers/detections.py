"""Boxes that a model found, as arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from studio9_task.parameters import Thresholds
from studio9_task.results import FoundShape, PredictedBox, PredictedPicture
from studio9_trainers.data.dataset import Picture

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Detections:
    """Boxes of one picture, strongest first: corners (left, top, right, bottom), confidences, label indices.

    `scores` has a row a box with the score of every label, where the model tells them; half precision will do.
    `shapes`: where a model finds more than boxes, the shape in each.
    """

    corners: Floats
    confidences: Floats
    labels: Ints
    scores: "np.ndarray[Any, Any] | None" = None
    shapes: tuple[FoundShape, ...] | None = None

    def __len__(self) -> int:
        return len(self.confidences)

    def at(self, thresholds: Thresholds, names: tuple[str, ...]) -> "Detections":
        """Those that count at the job's thresholds."""
        least = np.array([_least(thresholds, name) for name in names])
        keep = self.confidences >= least[self.labels] if len(self) else np.zeros(0, dtype=bool)
        return self._kept(keep)

    def above(self, confidence: float) -> "Detections":
        """Those of at least this confidence."""
        return self._kept(self.confidences >= confidence)

    def _kept(self, keep: "np.ndarray[Any, np.dtype[np.bool_]]") -> "Detections":
        scores = None if self.scores is None else self.scores[keep]
        shapes = self.shapes
        if shapes is not None:
            shapes = tuple(one for one, kept in zip(shapes, keep, strict=True) if kept)
        return Detections(self.corners[keep], self.confidences[keep], self.labels[keep], scores, shapes)


def _least(thresholds: Thresholds, name: str) -> float:
    if not thresholds.labels:
        return thresholds.confidence
    return thresholds.labels.get(name, np.inf)


def predicted(picture: Picture, found: Detections, names: tuple[str, ...], source: str) -> PredictedPicture:
    """What `predictions.jsonl` says of a picture."""
    boxes = tuple(
        PredictedBox(
            label=names[label],
            confidence=round(float(confidence), 6),
            left=round(float(left), 3),
            top=round(float(top), 3),
            width=round(float(right - left), 3),
            height=round(float(bottom - top), 3),
            index=index,
            shape=None if found.shapes is None else found.shapes[index],
        )
        for index, ((left, top, right, bottom), confidence, label) in enumerate(
            zip(found.corners, found.confidences, found.labels, strict=True)
        )
    )
    record = picture.record
    return PredictedPicture(
        picture_id=record.picture_id,
        input=source,
        sha256=record.sha256,
        width=record.width,
        height=record.height,
        boxes=boxes,
    )
