"""COCO's average precision through faster-coco-eval, which agrees with pycocotools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

if TYPE_CHECKING:
    from studio9_trainers.evaluation.figures import Judged


@dataclass(frozen=True)
class AveragePrecision:
    """Means over labels, and per label; none for a label that no picture shows.

    `curves` gives each label's best precision at IoU 0.5 for at least the recall 0.00, 0.01 … 1.00.
    """

    map50: float
    map50_95: float
    ap50: tuple[float | None, ...]
    ap50_95: tuple[float | None, ...]
    curves: tuple[tuple[float, ...] | None, ...]


def average_precision(pictures: list[Judged], labels: int, max_boxes: int) -> AveragePrecision:
    """COCO's figures for the pictures, counting at most `max_boxes` detections of each.

    Without true boxes both means are 0, as without detections.
    """
    truth, found = _truth(pictures, labels), _found(pictures)
    shown = {int(one["category_id"]) for one in truth["annotations"] if not one["iscrowd"]}
    if not found or not shown:
        per_label = tuple(0.0 if number + 1 in shown else None for number in range(labels))
        flat = tuple(None if one is None else (0.0,) * 101 for one in per_label)
        return AveragePrecision(0.0, 0.0, per_label, per_label, flat)
    coco = COCO(truth, print_function=_silent)
    evaluation = COCOeval_faster(coco, coco.loadRes(found), "bbox", print_function=_silent)
    evaluation.params.maxDets = [1, 10, max_boxes]
    evaluation.evaluate()
    evaluation.accumulate()
    # (IoU threshold, recall, label, area, detections); -1 where a label has no true box
    curves = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    at_half, over_all = curves[:1], curves
    ap50 = [_mean(at_half[:, :, number]) for number in range(labels)]
    ap50_95 = [_mean(over_all[:, :, number]) for number in range(labels)]
    return AveragePrecision(
        map50=_mean(at_half) or 0.0,
        map50_95=_mean(over_all) or 0.0,
        ap50=tuple(ap50),
        ap50_95=tuple(ap50_95),
        curves=tuple(_curve(curves[0, :, number]) for number in range(labels)),
    )


def _mean(values: Any) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _curve(values: Any) -> tuple[float, ...] | None:
    return None if values[0] < 0 else tuple(map(float, values))


def _truth(pictures: list[Judged], labels: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        for (left, top, right, bottom), label, ignore in zip(
            picture.corners, picture.labels, picture.ignore, strict=True
        ):
            width, height = float(right - left), float(bottom - top)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": [float(left), float(top), width, height],
                    "area": width * height,
                    "iscrowd": int(ignore),
                }
            )
    return {
        "info": {},
        "images": [{"id": number, "width": 1, "height": 1} for number in range(1, len(pictures) + 1)],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(labels)],
        "annotations": annotations,
    }


def _found(pictures: list[Judged]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": number,
            "category_id": int(label) + 1,
            "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
            "score": float(confidence),
        }
        for number, picture in enumerate(pictures, 1)
        for (left, top, right, bottom), confidence, label in zip(
            picture.found.corners, picture.found.confidences, picture.found.labels, strict=True
        )
    ]


def _silent(*_: object) -> None:
    """The library says what it does; the task's log is no place for that."""
