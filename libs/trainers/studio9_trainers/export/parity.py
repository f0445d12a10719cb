"""Whether an exported model computes the same on real pictures: scores, boxes and detections beside the model's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.export.exportable import Array, Exportable, Outputs, Runner

MOST_SCORE, MOST_BOX = 1e-4, 0.1
"""The largest difference of a score, and of a box's side in pixels of the input."""
LEAST_PICTURES = 20
LEAST_SCORE = 0.01
"""Boxes that neither gives so much are of nothing, and not compared."""


@dataclass(frozen=True)
class Parity:
    """Of so many pictures: the largest differences, and whether both detect (or say) the same."""

    pictures: int
    score: float
    box: float
    same: bool
    detections: int

    @property
    def accepted(self) -> bool:
        """Whether the exported model may stand for the trained one."""
        return self.pictures >= LEAST_PICTURES and self.score <= MOST_SCORE and self.box <= MOST_BOX and self.same


def compare(model: Exportable, one: Runner, other: Runner, pictures: Sequence[Pixels]) -> Parity:
    """Run both on each picture."""
    score = box = 0.0
    same, detections, limit = True, 0, model.thresholds.confidence
    for pixels in pictures:
        inputs = np.ascontiguousarray(model.prepare(pixels))[None]
        ours, theirs = one(inputs), other(inputs)
        (our_boxes, our_scores), (their_boxes, their_scores) = model.split(ours), model.split(theirs)
        if our_boxes is not None and their_boxes is not None:
            if not model.ordered:
                places = paired(our_boxes[0], our_scores[0], their_boxes[0], their_scores[0])
                their_boxes, their_scores = their_boxes[:, places], their_scores[:, places]
            shown = np.maximum(our_scores, their_scores).max(axis=-1) >= LEAST_SCORE
            if not model.ordered:  # the weakest of them need not be the same
                our_scores, their_scores = our_scores[shown], their_scores[shown]
            box = max(box, float(np.abs(our_boxes - their_boxes)[shown].max(initial=0)))
        score = max(score, float(np.abs(our_scores - their_scores).max(initial=0)))
        if model.finish is None:
            same = same and bool((our_scores.argmax(axis=-1) == their_scores.argmax(axis=-1)).all())
            detections += 1
            continue
        mine, theirs_found = (_found(model, outputs, pixels) for outputs in (ours, theirs))
        same = same and _within(mine, theirs_found, limit) and _within(theirs_found, mine, limit)
        detections += len(mine.above(limit))
    return Parity(len(pictures), score, box, same, detections)


def paired(boxes: Array, scores: Array, other_boxes: Array, other_scores: Array) -> list[int]:
    """For each place of one the nearest of the other, the strongest first, each for itself."""
    left = np.ones(len(other_boxes), dtype=bool)
    found = [0] * len(boxes)
    for at in np.argsort(-scores.max(axis=-1), kind="stable"):
        far = np.abs(other_boxes - boxes[at]).max(axis=-1) / MOST_BOX
        far = far + np.abs(other_scores - scores[at]).max(axis=-1) / MOST_SCORE
        found[at] = int(np.where(left, far, np.inf).argmin())
        left[found[at]] = False
    return found


def equal(one: Detections, other: Detections, within: float = 1.0) -> bool:
    """Whether both hold the same boxes with the same labels, in any order, within so many pixels of the picture."""
    return len(one) == len(other) and all_in(one, other, within)


def all_in(one: Detections, other: Detections, within: float = 1.0) -> bool:
    """Whether each box of one is the other's too, each for itself."""
    left = list(range(len(other)))
    for corners, label in zip(one.corners, one.labels, strict=True):
        for at in left:
            if other.labels[at] == label and np.abs(other.corners[at] - corners).max() <= within:
                left.remove(at)
                break
        else:
            return False
    return True


def _found(model: Exportable, outputs: Outputs, pixels: Pixels) -> Detections:
    """The detections, and those just below the threshold: a score on it may fall to either side."""
    assert model.finish is not None
    limits = model.thresholds
    least = max(limits.confidence - MOST_SCORE, 1e-6)
    (found,) = model.finish(outputs, [pixels.shape[:2]], least, limits.iou, limits.max_boxes)
    return found


def _within(one: Detections, other: Detections, threshold: float) -> bool:
    """Whether the other has all that the one is sure of."""
    return all_in(one.above(threshold + MOST_SCORE), other)
