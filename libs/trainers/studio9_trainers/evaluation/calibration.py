"""How far a model's confidences can be taken at their word."""

from typing import Any

import numpy as np

from studio9_task.judgement import Bin, Calibration

Values = np.ndarray[Any, np.dtype[Any]]

LEAST = 0.01
"""Predictions below this confidence are too many and too weak to tell anything."""


def calibration(confidences: Values, right: Values, bins: int = 10) -> Calibration:
    """Compare confidences with how many predictions are right, in `bins` equal parts of 0 to 1.

    A bin holds low <= confidence < high, the last one 1 too. Without predictions both errors are 0.
    """
    kept = confidences >= LEAST
    sure, good = confidences[kept], right[kept].astype(np.float64)
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    told = []
    error = 0.0
    for number in range(bins):
        own = place == number
        count = int(own.sum())
        mean, part = (float(sure[own].mean()), float(good[own].mean())) if count else (None, None)
        if mean is not None and part is not None:
            error += abs(mean - part) * count / len(sure)
        told.append(Bin(low=number / bins, high=(number + 1) / bins, count=count, confidence=mean, right=part))
    brier = float(((sure - good) ** 2).mean()) if len(sure) else 0.0
    return Calibration(predictions=len(sure), expected_error=min(error, 1.0), brier=brier, bins=tuple(told))
