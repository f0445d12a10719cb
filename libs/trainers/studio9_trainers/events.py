"""What a training tells while it runs, typed; every trainer tells the same, whoever owns its loop.

Epochs and batches count from 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from studio9_task.outputs import Written


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """An epoch begins, after `done` of its batches when a training goes on inside it."""

    epoch: int
    epochs: int
    batches: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class BatchDone:
    """A batch is learned."""

    epoch: int
    batch: int
    batches: int


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """All batches of an epoch are learned. `losses` are means over its pictures."""

    epoch: int
    losses: Mapping[str, float]
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Validated:
    """The framework's own figures on the held-back pictures; of two epochs the one with more `fitness` is better."""

    epoch: int
    figures: Mapping[str, float]
    fitness: float


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A state lies durably on the disk: `epoch` finished epochs and `step` batches of the next one.

    Told when the batch after it is done, at the latest: it is written while that is computed.
    """

    epoch: int
    step: int
    written: Written


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """This epoch is better than all before it."""

    epoch: int
    fitness: float


@dataclass(frozen=True, slots=True)
class WarningGiven:
    """Something that the user should know, which does not stop the training."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TrainingStopped:
    """No further epoch follows: all are done, none got better for long enough, or it was told to stop."""

    epoch: int
    reason: Literal["finished", "patience", "told"]
    figures: Mapping[str, float] = field(default_factory=dict)


TrainingEvent = (
    EpochStarted | BatchDone | EpochEnded | Validated | CheckpointWritten | BestSoFar | WarningGiven | TrainingStopped
)
Listener = Callable[[TrainingEvent], None]
"""Hears every event in order, in the training's own thread. What it raises ends the training."""
