"""Which predicted box is which true one: greedy, strongest first, at IoU 0.5."""

import numpy as np

from studio9_trainers.detections import Detections, Floats, Ints

MATCH_IOU = 0.5


def overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of every box of `one` (rows) with every box of `other` (columns); corners given."""
    left_top = np.maximum(one[:, None, :2], other[None, :, :2])
    right_bottom = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod((right_bottom - left_top).clip(min=0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def match(found: Detections, corners: Floats, labels: Ints | None = None) -> Ints:
    """For each detection the index of the true box it takes, or -1.

    Each true box is taken once, by the strongest detection that overlaps it by at least half; a detection takes
    the free box it overlaps most. With `labels` (of the true boxes) only boxes of the same label match.
    """
    taken = np.full(len(found), -1, dtype=np.int64)
    if len(found) == 0 or len(corners) == 0:
        return taken
    overlap = overlaps(found.corners, corners)
    if labels is not None:
        overlap = np.where(found.labels[:, None] == labels[None, :], overlap, 0.0)
    for index in np.argsort(-found.confidences, kind="stable"):
        best = int(overlap[index].argmax())
        if overlap[index, best] >= MATCH_IOU:
            taken[index] = best
            overlap[:, best] = 0.0
    return taken
