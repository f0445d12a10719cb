"""Precision, recall and F1 of each label over the confidence, at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from studio9_task.judgement import LabelCurves, Points
from studio9_trainers.evaluation.matching import match

if TYPE_CHECKING:
    from studio9_trainers.evaluation.average_precision import AveragePrecision
    from studio9_trainers.evaluation.figures import Judged

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

GRID = np.linspace(0, 1, 101)
"""The confidences at which curves are told."""


@dataclass(frozen=True)
class Ranked:
    """All that was found of one label, strongest first: confidences, and whether each is right; true boxes."""

    confidences: Floats
    right: Flags
    boxes: int

    def counts(self, confidences: Floats) -> tuple[Floats, Floats]:
        """(right ones, all) of at least each of these confidences."""
        before = np.searchsorted(-self.confidences, -confidences, side="right")
        hits = np.concatenate([[0.0], np.cumsum(self.right)])
        return hits[before], before.astype(np.float64)

    def f1(self, confidences: Floats) -> Floats:
        """F1 at each of these confidences; 0 where there is neither a box nor a prediction."""
        hits, found = self.counts(confidences)
        both = found + self.boxes
        return np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)


def ranked(pictures: list[Judged], labels: int) -> list[Ranked]:
    """What was found of each label. Greedy by confidence, so a higher threshold only cuts the end off."""
    confidences: list[list[Floats]] = [[] for _ in range(labels)]
    right: list[list[Flags]] = [[] for _ in range(labels)]
    boxes = np.zeros(labels, dtype=np.int64)
    for picture in pictures:
        taken = match(picture.found, picture.corners, picture.labels, picture.ignore)
        passed_over = np.array([at >= 0 and picture.ignore[at] for at in taken], dtype=bool)
        boxes += np.bincount(picture.labels[~picture.ignore], minlength=labels)
        for label in range(labels):
            own = (picture.found.labels == label) & ~passed_over
            confidences[label].append(picture.found.confidences[own])
            right[label].append(taken[own] >= 0)
    return [
        _sorted(np.concatenate([[], *strong]), np.concatenate([np.zeros(0, dtype=bool), *good]), int(count))
        for strong, good, count in zip(confidences, right, boxes, strict=True)
    ]


def label_curves(each: list[Ranked], names: tuple[str, ...], precision: AveragePrecision) -> tuple[LabelCurves, ...]:
    """The curves of every label, with COCO's beside ours."""
    return tuple(
        _curves(one, name, precision.ap50[number], precision.ap50_95[number], precision.curves[number])
        for number, (one, name) in enumerate(zip(each, names, strict=True))
    )


def _sorted(confidences: Floats, right: Flags, boxes: int) -> Ranked:
    order = np.argsort(-confidences, kind="stable")
    return Ranked(confidences[order], right[order], boxes)


def _curves(
    one: Ranked, name: str, ap50: float | None, ap50_95: float | None, curve: tuple[float, ...] | None
) -> LabelCurves:
    hits, found = one.counts(GRID)
    return LabelCurves(
        label=name,
        ap50=ap50,
        ap50_95=ap50_95,
        boxes=one.boxes,
        precision_at_recall=() if curve is None else tuple(round(value, 6) for value in curve),
        precision=_parts(hits, found),
        recall=_parts(hits, np.full_like(hits, one.boxes)),
        f1=tuple(round(float(value), 6) for value in one.f1(GRID)),
    )


def _parts(some: Floats, of: Floats) -> Points:
    return tuple(round(float(a / b), 6) if b else None for a, b in zip(some, of, strict=True))
