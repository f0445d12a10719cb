"""What other packages add to every training, found through entry points.

`studio9.callbacks`: a function (Run, TrainingConfig) -> Listener, which hears the training's events.
`studio9.metrics`: a function (labels, what was judged on the held-back pictures) -> {name: value}, told beside our own
figures of a validation in loops that are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import UserError
from studio9_trainers.events import Listener
from studio9_trainers.run import Run

CALLBACKS, METRICS = "studio9.callbacks", "studio9.metrics"
Metric = Callable[[tuple[str, ...], Sequence[Any]], Mapping[str, float]]


def callbacks(run: Run, config: TrainingConfig) -> list[Listener]:
    """The listeners that installed packages bring."""
    return [point.load()(run, config) for point in entry_points(group=CALLBACKS)]


@cache
def _metrics() -> tuple[tuple[str, Metric], ...]:
    return tuple((point.name, point.load()) for point in entry_points(group=METRICS))


def own_metrics(
    labels: tuple[str, ...], judged: Sequence[Any], metrics: Sequence[tuple[str, Metric]] | None = None
) -> dict[str, float]:
    """The figures of installed metrics, each named `<metric>/<figure>`. Raises UserError, naming the metric."""
    found: dict[str, float] = {}
    for name, metric in _metrics() if metrics is None else metrics:
        try:
            found |= {f"{name}/{key}": float(value) for key, value in metric(labels, judged).items()}
        except Exception as error:
            raise UserError(
                f"The metric {name!r} raised {type(error).__name__}: {error}. Mend or remove it."
            ) from error
    return found
