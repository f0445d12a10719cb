"""The confidence from which a box counts, chosen on validation pictures."""

import numpy as np

from studio9_task.judgement import ChosenThresholds
from studio9_task.parameters import Thresholds
from studio9_trainers.errors import UserError
from studio9_trainers.evaluation.curves import Ranked, ranked
from studio9_trainers.evaluation.figures import Judged

LOWEST, HIGHEST = 0.01, 0.99


def choose_thresholds(
    pictures: list[Judged], names: tuple[str, ...], source: str, base: Thresholds | None = None
) -> ChosenThresholds:
    """For all labels together, and for each label that the pictures show, the confidence with the best F1.

    Labels that they do not show get the common one. Overlap and most boxes are those of `base`. Raises UserError for
    the input `test`: figures on pictures that the thresholds were fitted to would flatter.
    """
    if source == "test":
        raise UserError("Thresholds are never chosen on the test pictures: give validation pictures.", "bad_request")
    base = base or Thresholds()
    each = ranked(pictures, len(names))
    common = _best(_together(each), base.confidence)
    chosen = {
        name: _best(one, common) if one.boxes and one.right.any() else common
        for name, one in zip(names, each, strict=True)
    }
    f1 = {
        name: float(one.f1(np.array([chosen[name]]))[0]) for name, one in zip(names, each, strict=True) if one.boxes > 0
    }
    thresholds = base.model_copy(update={"confidence": common, "labels": chosen})
    return ChosenThresholds(input=source, thresholds=thresholds, f1=f1)


def _together(each: list[Ranked]) -> Ranked:
    confidences = np.concatenate([np.zeros(0), *(one.confidences for one in each)])
    right = np.concatenate([np.zeros(0, dtype=bool), *(one.right for one in each)])
    order = np.argsort(-confidences, kind="stable")
    return Ranked(confidences[order], right[order], sum(one.boxes for one in each))


def _best(one: Ranked, otherwise: float) -> float:
    """Half-way between the last box that should count and the first that should not, so that noise moves neither."""
    steps = np.unique(one.confidences)
    if not one.right.any():
        return otherwise
    values = one.f1(steps)
    best = int(np.flatnonzero(values == values.max())[-1])
    below = steps[best - 1] if best else 0.0
    return round(float(np.clip((steps[best] + below) / 2, LOWEST, HIGHEST)), 4)
