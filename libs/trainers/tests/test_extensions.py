"""Figures and listeners of other packages."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from studio9_trainers.errors import UserError
from studio9_trainers.extensions import own_metrics


def test_figures_of_others_carry_their_name() -> None:
    found = own_metrics(("a", "b"), [], [("theirs", lambda labels, judged: {"labels": len(labels)})])
    assert found == {"theirs/labels": 2.0}
    assert own_metrics(("a",), []) == {}


def test_a_metric_that_raises_is_named() -> None:
    def broken(labels: tuple[str, ...], judged: Sequence[Any]) -> Mapping[str, float]:
        return {"x": 1 / len(judged)}

    with pytest.raises(UserError, match="'broken' raised ZeroDivisionError"):
        own_metrics(("a",), [], [("broken", broken)])
