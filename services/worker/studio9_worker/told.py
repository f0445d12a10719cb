"""What a task has told so far, folded from its events; built again from the file after a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio9_task.events import Artifact, Checkpoint, Event, Failed, Metric, Progress, Result, Warned
from studio9_task.tail import BadEvent

MAX_METRICS = 64
"""Latest values that a beat carries; telemetry has them all."""
MAX_ARTIFACTS = 100_000
"""Files that are remembered; so many are more than any worker takes."""


@dataclass(slots=True)
class Told:
    """The latest of everything. `artifacts` is by path: a file announced again replaces what was said of it."""

    progress: float = 0.0
    remaining_s: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    metrics_step: int | None = None
    checkpoint: Checkpoint | None = None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    result: Result | None = None
    failed: Failed | None = None
    warnings: int = 0
    unreadable: int = 0
    """Lines that are no events."""
    claims: int = 0
    """Events that say whose they are."""
    others: int = 0
    """Events, and lines that are none, beside results: what telemetry may have to tell of."""

    def take(self, event: Event | BadEvent) -> None:
        """Folds one event in. What a task says after its result or its error changes neither."""
        self.claims += not isinstance(event, BadEvent) and bool(event.claims)
        self.others += not isinstance(event, Result) or bool(event.claims)
        match event:
            case BadEvent():
                self.unreadable += 1
            case Progress():
                self.progress, self.remaining_s = event.value, event.remaining_s
                self.epoch = self.epoch if event.epoch is None else event.epoch
                self.epochs = self.epochs if event.epochs is None else event.epochs
            case Metric():
                key = metric_key(event)
                if key in self.metrics or len(self.metrics) < MAX_METRICS:
                    self.metrics[key] = event.value
                    self.metrics_step = event.step
            case Checkpoint():
                self.checkpoint = event
            case Artifact() if len(self.artifacts) <= MAX_ARTIFACTS:
                self.artifacts[event.path] = event
            case Result():
                self.result = self.result or event
            case Failed():
                self.failed = self.failed or event
            case Warned():
                self.warnings += 1
            case _:
                pass

    def summary(self) -> Mapping[str, Any]:
        """The result's own summary; empty where there is none."""
        return self.result.summary if self.result is not None else {}


def metric_key(event: Metric) -> str:
    """A metric's key as it is shown: `map50` of the validation split or of none, `train/loss` of another."""
    own = f"{event.split}/"
    return event.key if event.split in ("none", "val") or event.key.startswith(own) else own + event.key
