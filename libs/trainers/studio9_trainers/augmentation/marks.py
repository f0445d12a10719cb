"""What is marked on a picture, after the picture was moved by a matrix.

Of each shape the outline is moved and cut to the canvas. What has less than a fifth of its area left is dropped.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag, Track
from studio9_trainers.augmentation.affine import Matrix, moved, warp
from studio9_trainers.data.masks import mask_of, mask_pixels
from studio9_trainers.data.outlines import Points, area, corners, rotated_corners, smallest_turned, within

LEAST_LEFT = 0.2
"""Part of a shape's area that must be left."""

Size = tuple[int, int]
"""(width, height)"""


def move_shapes(shapes: Iterable[Shape], matrix: Matrix, before: Size, after: Size) -> tuple[tuple[Shape, ...], int]:
    """(what is left, how many were dropped), for a picture of one size moved onto a canvas of another."""
    results = [(_move(shape, matrix, before, after)) for shape in shapes]
    return tuple(one for one in results if one is not None), sum(one is None for one in results)


def other_side(name: str) -> str:
    """The name of the same point on the other side: `left_eye` for `right_eye`, `L knee` for `R knee`."""
    return _SIDES.sub(lambda found: _OTHER[found.group().lower()](found.group()), name)


def _move(shape: Shape, matrix: Matrix, before: Size, after: Size) -> Shape | None:
    match shape:
        case Tag():
            return shape
        case Box():
            return _box(shape, matrix, after)
        case RotatedBox():
            return _rotated(shape, matrix, after)
        case Polygon():
            left = _left(np.array(shape.points), matrix, after)
            return None if left is None else shape.model_copy(update={"points": _pairs(left)})
        case Mask():
            return _mask(shape, matrix, before, after)
        case Keypoints():
            return _keypoints(shape, matrix, after)
        case Track():
            boxes = ((frame, _box(box, matrix, after)) for frame, box in shape.boxes)
            kept = tuple((frame, box) for frame, box in boxes if box is not None)
            return shape.model_copy(update={"boxes": kept}) if kept else None


def _left(points: Points, matrix: Matrix, after: Size) -> Points | None:
    whole = moved(points, matrix)
    cut = within(whole, *after)
    enough = area(cut) > 0 and area(cut) >= LEAST_LEFT * area(whole)
    return cut if enough and len(cut) >= 3 else None


def _box(box: Box, matrix: Matrix, after: Size) -> Box | None:
    left = _left(corners(box.left, box.top, box.width, box.height), matrix, after)
    if left is None:
        return None
    low, high = left.min(axis=0), left.max(axis=0)
    width, height = (float(value) for value in high - low)
    place = {"left": float(low[0]), "top": float(low[1]), "width": width, "height": height}
    return box.model_copy(update=place) if width > 0 and height > 0 else None


def _rotated(box: RotatedBox, matrix: Matrix, after: Size) -> RotatedBox | None:
    outline = rotated_corners(box)
    if _left(outline, matrix, after) is None:
        return None
    return box.model_copy(update=smallest_turned(moved(outline, matrix)))


def _mask(mask: Mask, matrix: Matrix, before: Size, after: Size) -> Mask | None:
    whole = np.zeros((before[1], before[0]), dtype=np.uint8)
    inner = mask_pixels(mask)
    top, left = max(mask.top, 0), max(mask.left, 0)
    part = inner[top - mask.top :, left - mask.left :][: max(before[1] - top, 0), : max(before[0] - left, 0)]
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    warped = warp(whole, matrix, after, smooth=False) > 0
    expected = float(inner.sum()) * abs(np.linalg.det(matrix[:2, :2]))
    return mask_of(warped, mask) if warped.sum() >= LEAST_LEFT * expected else None


def _keypoints(shape: Keypoints, matrix: Matrix, after: Size) -> Keypoints | None:
    mirrored = np.linalg.det(matrix[:2, :2]) < 0
    points = tuple(_keypoint(point, matrix, after, mirrored) for point in shape.points)
    update: dict[str, Any] = {"points": points}
    if shape.box is not None:
        update["box"] = _box(shape.box, matrix, after)
        gone = update["box"] is None
    else:
        gone = all(point.visibility == 0 for point in points)
    return None if gone else shape.model_copy(update=update)


def _keypoint(point: Keypoint, matrix: Matrix, after: Size, mirrored: bool) -> Keypoint:
    x, y = (float(value) for value in moved([(point.x, point.y)], matrix)[0])
    inside = 0 <= x <= after[0] and 0 <= y <= after[1]
    name = other_side(point.name) if mirrored else point.name
    return Keypoint(name=name, x=x, y=y, visibility=point.visibility if inside else 0)


def _pairs(points: Points) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


def _like(text: str, word: str) -> str:
    return word.upper() if text.isupper() else word.capitalize() if text[0].isupper() else word


_SIDES = re.compile(r"left|right|(?<![a-z0-9])[lr](?![a-z0-9])", re.IGNORECASE)
_OTHER = {
    "left": lambda text: _like(text, "right"),
    "right": lambda text: _like(text, "left"),
    "l": lambda text: _like(text, "r"),
    "r": lambda text: _like(text, "l"),
}
