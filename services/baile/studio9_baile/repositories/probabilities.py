"""How the rows of a probability table are sorted: by corners and probabilities, which stand in JSON columns."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, func

from studio9_baile.models.pictures import PredictedShape

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def corners() -> dict[str, Any]:
    """The expressions of a box's corners."""
    left, top, width, height = (PredictedShape.shape[name].as_float() for name in ("left", "top", "width", "height"))
    return dict(zip(CORNERS, (left, top, left + width, top + height), strict=True))


def probabilities(labels: Mapping[str, str]) -> dict[str, Any]:
    """The expressions of labels' probabilities by column. Labels with a quote or a backslash are left out: not every
    database finds them by a path in JSON."""
    found = {}
    for column, label in labels.items():
        if '"' in label or "\\" in label:
            continue
        chosen = case((PredictedShape.label == label, PredictedShape.confidence), else_=0.0)
        scored = func.coalesce(PredictedShape.scores[label].as_float(), 0.0)
        found[column] = case((PredictedShape.scores.is_(None), chosen), else_=scored)
    return found
