"""Which predicted box is which true one: greedy, strongest first, at IoU 0.5."""

from typing import Any

import numpy as np

from studio9_trainers.detections import Detections, Floats, Ints

MATCH_IOU = 0.5

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of every box of `one` (rows) with every box of `other` (columns); corners given."""
    common, areas, others = _common(one, other)
    union = areas[:, None] + others[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(one: Floats, other: Floats) -> Floats:
    """How much of each box of `one` (rows) lies in each of `other` (columns), 0 to 1: COCO's overlap with a crowd."""
    common, areas, _ = _common(one, other)
    own = np.broadcast_to(areas[:, None], common.shape)
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)


def match(found: Detections, corners: Floats, labels: Ints | None = None, ignore: Flags | None = None) -> Ints:
    """For each detection the index of the true box it takes, or -1.

    Each true box is taken once, by the strongest detection that overlaps it by at least half; a detection takes
    the free box it overlaps most. A detection that is left over and lies by half in a box marked `ignore` gets that
    one's index, as do any others there. With `labels` (of the true boxes) only boxes of the same label match.
    """
    taken = np.full(len(found), -1, dtype=np.int64)
    if len(found) == 0 or len(corners) == 0:
        return taken
    passed_over = np.zeros(len(corners), dtype=bool) if ignore is None else ignore
    overlap = np.where(passed_over[None, :], 0.0, overlaps(found.corners, corners))
    if labels is not None:
        overlap = np.where(found.labels[:, None] == labels[None, :], overlap, 0.0)
    for index in np.argsort(-found.confidences, kind="stable"):
        best = int(overlap[index].argmax())
        if overlap[index, best] >= MATCH_IOU:
            taken[index] = best
            overlap[:, best] = 0.0
    if passed_over.any():
        _pass_over(taken, found, corners, labels, passed_over)
    return taken


def _pass_over(taken: Ints, found: Detections, corners: Floats, labels: Ints | None, ignore: Flags) -> None:
    inside = np.where(ignore[None, :], covered(found.corners, corners), 0.0)
    if labels is not None:
        inside = np.where(found.labels[:, None] == labels[None, :], inside, 0.0)
    best = inside.argmax(axis=1)
    left = (taken < 0) & (inside.max(axis=1) >= MATCH_IOU)
    taken[left] = best[left]


def _common(one: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    left_top = np.maximum(one[:, None, :2], other[None, :, :2])
    right_bottom = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod((right_bottom - left_top).clip(min=0), axis=2)
    areas, others = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other))
    return common, areas, others
