"""What other packages add to every training, found through entry points.

`studio9.callbacks`: a function (Run, TrainingConfig) -> Listener, which hears the training's events.
`studio9.metrics`: a function (labels, what was judged on the held-back pictures) -> {name: value}, told beside our own
figures of a validation in loops that are ours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import Stopped, TaskError, UserError
from studio9_trainers.events import Listener, TrainingEvent
from studio9_trainers.run import Run

CALLBACKS, METRICS = "studio9.callbacks", "studio9.metrics"
Metric = Callable[[tuple[str, ...], Sequence[Any]], Mapping[str, float]]


def callbacks(run: Run, config: TrainingConfig) -> list[Listener]:
    """The listeners that installed packages bring. Raises UserError, naming the callback, as they do later."""
    return [_listener(point, run, config) for point in entry_points(group=CALLBACKS)]


def _listener(point: EntryPoint, run: Run, config: TrainingConfig) -> Listener:
    with _answering("callback", point.name):
        listener: Listener = point.load()(run, config)

    def hear(event: TrainingEvent) -> None:
        with _answering("callback", point.name):
            listener(event)

    return hear


@contextmanager
def _answering(what: str, name: str) -> Iterator[None]:
    """What other packages raise is told with their name; that a training should end may be raised on purpose."""
    try:
        yield
    except (Stopped, TaskError):
        raise
    except Exception as error:
        raise UserError(f"The {what} {name!r} raised {type(error).__name__}: {error}. Mend or remove it.") from error


@cache
def _metrics() -> tuple[tuple[str, Metric], ...]:
    return tuple((point.name, point.load()) for point in entry_points(group=METRICS))


def own_metrics(
    labels: tuple[str, ...], judged: Sequence[Any], metrics: Sequence[tuple[str, Metric]] | None = None
) -> dict[str, float]:
    """The figures of installed metrics, each named `<metric>/<figure>`. Raises UserError, naming the metric."""
    found: dict[str, float] = {}
    for name, metric in _metrics() if metrics is None else metrics:
        with _answering("metric", name):
            found |= {f"{name}/{key}": float(value) for key, value in metric(labels, judged).items()}
    return found
