"""Ultralytics' own mAP of the same boxes, told beside ours: it differs from COCO's in the third digit."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ultralytics.engine.validator import BaseValidator
from ultralytics.utils.metrics import ap_per_class

from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.evaluation.matching import overlaps

STEPS = torch.linspace(0.5, 0.95, 10)


def own_figures(pictures: list[Judged], labels: int) -> dict[str, float]:
    """Under Ultralytics' names. It knows no boxes to ignore: what lies in one is a false alarm to it."""
    rules = SimpleNamespace(iouv=STEPS)
    right: list[Any] = [np.zeros((0, len(STEPS)), dtype=bool)]
    for picture in pictures:
        found = torch.from_numpy(picture.found.labels)
        counted = ~picture.ignore
        close = torch.from_numpy(overlaps(picture.corners[counted], picture.found.corners))
        true = torch.from_numpy(picture.labels[counted])
        right.append(BaseValidator.match_predictions(rules, found, true, close).numpy())
    confidences = np.concatenate([np.zeros(0), *(one.found.confidences for one in pictures)])
    found_labels = np.concatenate([np.zeros(0), *(one.found.labels for one in pictures)])
    true_labels = np.concatenate([np.zeros(0), *(one.labels[~one.ignore] for one in pictures)])
    if not len(confidences) or not len(true_labels):
        return {"ultralytics/mAP50": 0.0, "ultralytics/mAP50-95": 0.0}
    precision = ap_per_class(np.concatenate(right), confidences, found_labels, true_labels)[5]
    return {"ultralytics/mAP50": float(precision[:, 0].mean()), "ultralytics/mAP50-95": float(precision.mean())}
