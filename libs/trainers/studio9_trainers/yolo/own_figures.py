"""Ultralytics' own mAP of the same boxes, told beside ours: it differs from COCO's in the third digit."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.engine.validator import BaseValidator
from ultralytics.utils.metrics import ap_per_class, batch_probiou, kpt_iou, mask_iou

from studio9_task.shapes import Mask
from studio9_trainers.capabilities import Task
from studio9_trainers.data.masks import mask_pixels
from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.evaluation.matching import overlaps

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Like = Callable[[Judged, Flags], Any]
"""How alike each true thing that counts (a row) and each that was found are, from 0 to 1."""
STEPS = torch.linspace(0.5, 0.95, 10)


LONGEST = 320
"""Masks are compared at a size whose longer side is at most so many pixels, as the package does at a quarter."""
LETTERS: dict[Task, str] = {"segment": "(M)", "pose": "(P)", "obb": "(turned)"}


def own_figures(pictures: list[Judged], labels: int, task: Task = "detect") -> dict[str, float]:
    """Under Ultralytics' names: of boxes, and for other tasks of what they find, by its own measure of likeness (masks'
    overlap, similarity of keypoints, ProbIoU of turned boxes). It knows nothing to ignore: what lies in something that
    is to be ignored is a false alarm to it."""
    told = _figures(pictures, labels, lambda one, counted: overlaps(one.corners[counted], one.found.corners), "")
    if task in LETTERS:
        told |= _figures(pictures, labels, _LIKE[task], LETTERS[task])
    return told


def _figures(pictures: list[Judged], labels: int, like: Like, letter: str) -> dict[str, float]:
    rules = SimpleNamespace(iouv=STEPS)
    right: list[Any] = [np.zeros((0, len(STEPS)), dtype=bool)]
    for picture in pictures:
        found = torch.from_numpy(picture.found.labels)
        counted = ~picture.ignore
        close = torch.from_numpy(np.asarray(like(picture, counted), dtype=np.float64))
        true = torch.from_numpy(picture.labels[counted])
        right.append(BaseValidator.match_predictions(rules, found, true, close).numpy())
    confidences = np.concatenate([np.zeros(0), *(one.found.confidences for one in pictures)])
    found_labels = np.concatenate([np.zeros(0), *(one.found.labels for one in pictures)])
    true_labels = np.concatenate([np.zeros(0), *(one.labels[~one.ignore] for one in pictures)])
    if not len(confidences) or not len(true_labels):
        return {f"ultralytics/mAP50{letter}": 0.0, f"ultralytics/mAP50-95{letter}": 0.0}
    precision = ap_per_class(np.concatenate(right), confidences, found_labels, true_labels)[5]
    return {
        f"ultralytics/mAP50{letter}": float(precision[:, 0].mean()),
        f"ultralytics/mAP50-95{letter}": float(precision.mean()),
    }


def _pairs(picture: Judged, counted: Flags) -> tuple[list[Any], list[Any]]:
    """(true marks that count, found shapes)."""
    marks = [mark for mark, counts in zip(picture.marks, counted, strict=True) if counts]
    return marks, list(picture.found.shapes or ())


def _turned(picture: Judged, counted: Flags) -> Any:
    def rows(boxes: list[Any]) -> torch.Tensor:
        listed = [(one.centre_x, one.centre_y, one.width, one.height, np.radians(one.angle)) for one in boxes]
        return torch.tensor(listed, dtype=torch.float64).reshape(-1, 5)

    true, found = _pairs(picture, counted)
    return batch_probiou(rows(true), rows(found)).numpy() if true and found else np.zeros((len(true), len(found)))


def _posed(picture: Judged, counted: Flags) -> Any:
    true, found = _pairs(picture, counted)
    if not true or not found:
        return np.zeros((len(true), len(found)))
    names = [point.name for point in found[0].points]

    def rows(shapes: list[Any]) -> torch.Tensor:
        made = torch.zeros(len(shapes), len(names), 3, dtype=torch.float64)
        for row, shape in zip(made, shapes, strict=True):
            for point in shape.points:
                if point.name in names:
                    row[names.index(point.name)] = torch.tensor([point.x, point.y, float(point.visibility)])
        return made

    sizes = picture.corners[counted]
    area = torch.from_numpy((sizes[:, 2] - sizes[:, 0]) * (sizes[:, 3] - sizes[:, 1]) * 0.53)
    return kpt_iou(rows(true), rows(found), area=area, sigma=np.full(len(names), 1 / len(names))).numpy()


def _masked(picture: Judged, counted: Flags) -> Any:
    true, found = _pairs(picture, counted)
    if not true or not found:
        return np.zeros((len(true), len(found)))
    reach = float(max(picture.corners.max(initial=1), picture.found.corners.max(initial=1)))
    scale = min(1.0, LONGEST / reach)
    side = int(np.ceil(reach * scale)) + 1
    return mask_iou(*(torch.stack([_drawn(one, scale, side) for one in some]) for some in (true, found))).numpy()


def _drawn(mark: Any, scale: float, side: int) -> torch.Tensor:
    """A mask or outline as one row of pixels of a square."""
    if isinstance(mark, Mask):
        pixels = mask_pixels(mark).astype(np.uint8)
        place = np.array([[scale, 0, mark.left * scale], [0, scale, mark.top * scale]])
        drawn = cv2.warpAffine(pixels, place, (side, side), flags=cv2.INTER_NEAREST)
    else:
        drawn = np.zeros((side, side), np.uint8)
        cv2.fillPoly(drawn, [np.round(np.array(mark.points) * scale).astype(np.int32)], 1)
    return torch.from_numpy(drawn).float().flatten()


_LIKE: dict[Task, Like] = {"segment": _masked, "pose": _posed, "obb": _turned}
