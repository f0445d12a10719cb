"""What a task learns from beside upright boxes: masks, keypoints and turned boxes, each with the box around it."""

from dataclasses import replace

import numpy as np

from studio9_task.shapes import Box, Keypoints, Mask, Polygon, RotatedBox
from studio9_trainers.capabilities import Task
from studio9_trainers.data.dataset import SLACK, Mark, Picture, PictureSet
from studio9_trainers.data.masks import mask_pixels
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.errors import BadInput

MARKS: dict[Task, tuple[type[Mark], ...]] = {
    "segment": (Polygon, Mask),
    "pose": (Keypoints,),
    "obb": (RotatedBox,),
}
"""The shapes that a task learns from; other tasks take boxes and labels."""
NAMES: dict[Task, str] = {"segment": "outline or mask", "pose": "keypoints", "obb": "turned box"}
LEAST = 2.0
"""A box around marks is at least so many pixels wide and high: a single point has no area."""


def marked(task: Task, pictures: PictureSet) -> PictureSet:
    """The pictures with the marks that the task learns from, and the boxes around them in place of their own.

    Raises BadInput, naming picture and fix, for a mark that lies beyond its picture. Those of other tasks stay.
    """
    kinds = MARKS.get(task)
    if kinds is None:
        return pictures
    findings: list[str] = []
    made: list[Picture] = []
    for number, picture in enumerate(pictures.pictures, 1):
        marks = tuple(shape for shape in picture.record.annotations if isinstance(shape, kinds))
        boxes = [around(mark, picture.record.width, picture.record.height) for mark in marks]
        for mark, box in zip(marks, boxes, strict=True):
            if box is None:
                name = picture.record.filename or picture.record.picture_id
                findings.append(
                    f"{pictures.name}, line {number} ({name}): the {NAMES[task]} of {mark.label!r} lies beyond the "
                    "picture: correct it."
                )
        made.append(replace(picture, boxes=tuple(box for box in boxes if box is not None), marks=marks))
    if findings:
        raise BadInput.of(findings)
    return PictureSet(pictures.name, tuple(made))


def around(mark: Mark, width: int, height: int) -> Box | None:
    """The upright box around a mark, cut to its picture; none where it lies beyond."""
    match mark:
        case Polygon():
            points = np.array(mark.points, dtype=np.float64)
        case Mask():
            inside = np.argwhere(mask_pixels(mark))[:, ::-1] + (mark.left, mark.top)
            points = np.concatenate([inside, inside + 1]) if len(inside) else np.full((1, 2), -1e9)
        case RotatedBox():
            points = rotated_corners(mark)
        case Keypoints(box=Box() as box):
            points = np.array(box.corners, dtype=np.float64).reshape(2, 2)
        case _:
            seen = [(point.x, point.y) for point in mark.points if point.visibility > 0]
            points = np.array(seen or [(-1e9, -1e9)], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    if (high < -SLACK).any() or (low > (width + SLACK, height + SLACK)).any():
        return None
    middle, half = (low + high) / 2, np.maximum(high - low, LEAST) / 2
    left, top = (middle - half).clip(0, (width - 1, height - 1))
    right, bottom = (middle + half).clip((left + 1, top + 1), (width, height))
    return Box(
        label=mark.label,
        left=float(left),
        top=float(top),
        width=float(right - left),
        height=float(bottom - top),
        ignore=mark.ignore,
        source=mark.source,
        z=mark.z,
    )


def point_names(pictures: PictureSet) -> tuple[str, ...]:
    """The names of the keypoints that are marked, in the order in which they first come."""
    return tuple(
        dict.fromkeys(
            point.name
            for picture in pictures.pictures
            for mark in picture.marks
            if isinstance(mark, Keypoints)
            for point in mark.points
        )
    )


def without_marks(task: Task) -> str:
    """What pictures lack that show none of the shapes that the task learns from, in words."""
    return f"no picture has {'any ' if task == 'pose' else 'an ' if task == 'segment' else 'a '}{NAMES[task]}"
