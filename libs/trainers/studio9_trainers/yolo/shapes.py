"""What YOLO finds beyond boxes, from the model's pixels to the picture's: masks, keypoints, turned boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.utils.ops import process_mask

from studio9_task.results import FoundShape
from studio9_task.shapes import Keypoint, Keypoints, Mask, RotatedBox
from studio9_trainers.capabilities import Task
from studio9_trainers.data.masks import mask_of
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.detections import Detections, Floats
from studio9_trainers.files import ModelFile
from studio9_trainers.yolo.letterbox import padding, scaled_size, unscaled
from studio9_trainers.yolo.weights import POINTS

KINDS: dict[Task, str] = {"segment": "mask", "pose": "keypoints", "obb": "rotated_box"}
SEEN = 0.5
"""From which probability a keypoint counts as visible."""


@dataclass(frozen=True)
class Way:
    """From the model's pixels back to those of a picture of `shape` (height, width)."""

    shape: tuple[int, ...]
    side: int

    def back(self, points: Floats) -> Floats:
        """(x, y) a row."""
        height, width = scaled_size(self.shape, self.side)
        top, left, _, _ = padding(height, width)
        return (points - (left, top)) * (self.shape[1] / width, self.shape[0] / height)

    def mask(self, pixels: Any) -> Any:
        """A mask over the model's input as one over the picture."""
        height, width = scaled_size(self.shape, self.side)
        top, left, _, _ = padding(height, width)
        inner = np.ascontiguousarray(pixels[top : top + height, left : left + width]).astype(np.uint8) * 255
        if inner.shape != self.shape[:2]:
            inner = cv2.resize(inner, (self.shape[1], self.shape[0]), interpolation=cv2.INTER_LINEAR)
        return inner > 127


def found_shapes(
    file: ModelFile,
    rows: Any,
    prototypes: torch.Tensor | None,
    shape: tuple[int, ...],
    scaled: tuple[int, ...],
    scores: Any,
) -> Detections:
    """Rows of one picture, boxes or what the model's task finds, in the picture's own pixels. `shape` and `scaled`:
    (height, width) of the picture and of the model's input."""
    way = Way(shape, file.input_size)
    match file.task:
        case "obb":
            return turned(rows, way, file.labels, scores)
        case "pose":
            return posed(rows, way, file.labels, tuple(file.options[POINTS]), scores)
        case "segment":
            assert prototypes is not None
            return masked(rows, prototypes, scaled, way, file.labels)
        case _:
            return unscaled(rows, shape, file.input_size, scores)


def turned(rows: Any, way: Way, names: Sequence[str], scores: Any) -> Detections:
    """Rows of (x, y, width, height, confidence, label, angle): turned boxes, and the upright ones around them."""
    height, width = scaled_size(way.shape, way.side)
    gain = float(np.sqrt(way.shape[1] / width * way.shape[0] / height))
    centres = way.back(rows[:, :2].astype(np.float64))
    boxes = [
        RotatedBox(
            label=names[int(row[5])],
            source="model",
            centre_x=round(float(x), 3),
            centre_y=round(float(y), 3),
            width=max(0.01, round(float(row[2]) * gain, 3)),
            height=max(0.01, round(float(row[3]) * gain, 3)),
            angle=round(float(np.degrees(row[-1])), 3),
        )
        for row, (x, y) in zip(rows, centres, strict=True)
    ]
    outlines = np.array([rotated_corners(box) for box in boxes], dtype=np.float64).reshape(-1, 4, 2)
    corners = np.concatenate([outlines.min(axis=1), outlines.max(axis=1)], axis=1)
    return _solid(corners, rows, boxes, scores, way.shape)


def masked(rows: Any, prototypes: torch.Tensor, shape: tuple[int, ...], way: Way, names: Sequence[str]) -> Detections:
    """Rows of a box and its coefficients, and the picture's prototypes; `shape` is the input's (height, width)."""
    boxes = torch.from_numpy(rows[:, :4])
    found = process_mask(prototypes, torch.from_numpy(rows[:, 6:]), boxes, shape, upsample=True).numpy()
    masks: list[FoundShape] = []
    kept = []
    for number, pixels in enumerate(found):
        like = Mask(label=names[int(rows[number, 5])], source="model", left=0, top=0, width=1, height=1, counts=(1,))
        mask = mask_of(way.mask(pixels), like)
        if mask is not None:
            masks.append(mask)
            kept.append(number)
    rows = rows[kept]
    corners = np.concatenate([way.back(rows[:, :2].astype(np.float64)), way.back(rows[:, 2:4].astype(np.float64))], 1)
    return _solid(corners, rows, masks, None, way.shape)


def posed(rows: Any, way: Way, names: Sequence[str], points: Sequence[str], scores: Any) -> Detections:
    """Rows of a box and (x, y, how visible) of each point."""
    given = rows[:, 6:].reshape(len(rows), len(points), 3).astype(np.float64)
    made = []
    for row, each in zip(rows, given, strict=True):
        marks = [
            Keypoint(name=name, x=round(float(x), 3), y=round(float(y), 3), visibility=2 if seen >= SEEN else 0)
            for name, (x, y), seen in zip(points, way.back(each[:, :2]), each[:, 2], strict=True)
        ]
        made.append(Keypoints(label=names[int(row[5])], source="model", points=tuple(marks)))
    corners = np.concatenate([way.back(rows[:, :2].astype(np.float64)), way.back(rows[:, 2:4].astype(np.float64))], 1)
    return _solid(corners, rows, made, scores, way.shape)


def _solid(corners: Floats, rows: Any, shapes: Sequence[FoundShape], scores: Any, shape: tuple[int, ...]) -> Detections:
    """Those whose box has an area within the picture."""
    cut = corners.clip(0, (shape[1], shape[0], shape[1], shape[0]))
    solid = (cut[:, 2] - cut[:, 0] > 0.01) & (cut[:, 3] - cut[:, 1] > 0.01)
    return Detections(
        corners=cut[solid],
        confidences=rows[solid, 4].astype(np.float64).clip(0, 1),
        labels=rows[solid, 5].astype(np.int64),
        scores=None if scores is None else scores[solid],
        shapes=tuple(one for one, kept in zip(shapes, solid, strict=True) if kept),
    )
