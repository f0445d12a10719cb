"""Overlapping boxes as one set: the kept ones, as they are or grown by those that belong to them."""

import numpy as np

from studio9_task.tiles import Merging
from studio9_trainers.detections import Detections
from studio9_trainers.merging.compiled import compiled
from studio9_trainers.merging.owners import Floats, Ints, order, owners


def merge(found: Detections, merging: Merging) -> Detections:
    """One box for each object, strongest first. Raises ValueError for a threshold out of range."""
    labels = None if merging.across_labels else found.labels
    owned = owners(found.corners, found.confidences, labels, merging.overlap, merging.metric)
    ranked = order(np.asarray(found.corners, np.float64).reshape(-1, 4), found.confidences)
    kept = ranked[owned[ranked] == ranked]
    corners = found.corners
    if merging.boxes == "grow":
        corners = grown(corners, owned, ranked, merging.overlap, merging.metric == "iou")
    scores = None if found.scores is None else found.scores[kept]
    return Detections(corners[kept], found.confidences[kept], found.labels[kept], scores)


@compiled
def grown(corners: Floats, owned: Ints, ranked: Ints, threshold: float, iou: bool) -> Floats:
    """Each kept box grown, from the strongest on, by those of its boxes that overlap enough of what it has become."""
    found = corners.copy()
    for index in ranked:
        keeper = owned[index]
        if keeper == index:
            continue
        across = min(found[keeper, 2], corners[index, 2]) - max(found[keeper, 0], corners[index, 0])
        down = min(found[keeper, 3], corners[index, 3]) - max(found[keeper, 1], corners[index, 1])
        common = max(across, 0.0) * max(down, 0.0)
        own = (found[keeper, 2] - found[keeper, 0]) * (found[keeper, 3] - found[keeper, 1])
        other = (corners[index, 2] - corners[index, 0]) * (corners[index, 3] - corners[index, 1])
        whole = own + other - common if iou else min(own, other)
        if common / whole >= threshold:
            found[keeper, :2] = np.minimum(found[keeper, :2], corners[index, :2])
            found[keeper, 2:] = np.maximum(found[keeper, 2:], corners[index, 2:])
    return found
