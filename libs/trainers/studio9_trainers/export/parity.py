"""Whether an exported model computes the same on real pictures: scores, boxes and detections beside the model's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio9_task.results import FoundShape
from studio9_task.shapes import Keypoints, Mask, RotatedBox
from studio9_trainers.data.decode import Pixels
from studio9_trainers.data.masks import mask_pixels
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.detections import Detections
from studio9_trainers.export.exportable import Array, Exportable, Outputs, Runner

MOST_SCORE, MOST_BOX = 1e-4, 0.1
"""The largest difference of a score, and of a box's side in pixels of the input."""
LEAST_PICTURES = 20
LEAST_SCORE = 0.01
"""Boxes that neither gives so much are of nothing, and not compared."""
MOST_PIXELS = 0.01
"""The part of a mask's pixels, or one of them, that may differ: those on its edge."""


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
    """Whether both hold the same boxes (and shapes) with the same labels, in any order, within so many pixels of the
    picture."""
    return len(one) == len(other) and all_in(one, other, within)


def all_in(one: Detections, other: Detections, within: float = 1.0) -> bool:
    """Whether each box of one is the other's too, each for itself."""
    left = list(range(len(other)))
    for number, (corners, label) in enumerate(zip(one.corners, one.labels, strict=True)):
        for at in left:
            near = other.labels[at] == label and np.abs(other.corners[at] - corners).max() <= within
            if near and (
                one.shapes is None or other.shapes is None or alike(one.shapes[number], other.shapes[at], within)
            ):
                left.remove(at)
                break
        else:
            return False
    return True


def alike(one: FoundShape, other: FoundShape, within: float) -> bool:
    """Whether two shapes are the same, within so many pixels; of masks almost all pixels must be."""
    match one, other:
        case Mask(), Mask():
            return masks_alike(one, other)
        case RotatedBox(), RotatedBox():
            return bool(np.abs(rotated_corners(one) - rotated_corners(other)).max() <= within)
        case Keypoints(), Keypoints():
            marks, others = ([(each.x, each.y) for each in points] for points in (one.points, other.points))
            seen = [[each.visibility for each in points] for points in (one.points, other.points)]
            return seen[0] == seen[1] and bool(np.abs(np.subtract(marks, others)).max() <= within)
        case _:
            return False


def masks_alike(one: Mask, other: Mask) -> bool:
    """Whether two masks of one picture differ in a hundredth of their pixels at most, or in one."""
    left, top = min(one.left, other.left), min(one.top, other.top)
    right = max(one.left + one.width, other.left + other.width)
    bottom = max(one.top + one.height, other.top + other.height)
    drawn = np.zeros((2, bottom - top, right - left), dtype=bool)
    for pixels, mask in zip(drawn, (one, other), strict=True):
        at = (mask.top - top, mask.left - left)
        pixels[at[0] : at[0] + mask.height, at[1] : at[1] + mask.width] = mask_pixels(mask)
    return int((drawn[0] != drawn[1]).sum()) <= max(1, MOST_PIXELS * drawn.any(axis=0).sum())


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
