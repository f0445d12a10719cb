"""From a training's typed events to the task's own: progress, metrics, why it ended."""

import time

from studio9_trainers.events import (
    BatchDone,
    EpochEnded,
    EpochStarted,
    TrainingEvent,
    TrainingStopped,
    Validated,
)
from studio9_trainers.remaining import Estimate
from studio9_trainers.run import Run

EVERY_S = 1.0
"""The least time between two progress events."""
TRAINED = 0.95
"""The part of a task that its training is; the rest is the final evaluation."""


class Teller:
    """A listener that writes events.jsonl."""

    def __init__(self, run: Run, epochs: int, train_pictures: int, val_pictures: int, final_pictures: int) -> None:
        self._run, self._epochs = run, epochs
        self._counts = (train_pictures, val_pictures, final_pictures)
        self._estimate: Estimate | None = None
        self._told = 0.0

    def __call__(self, event: TrainingEvent) -> None:
        """Hear one."""
        match event:
            case EpochStarted():
                estimate = self._estimate or Estimate(self._epochs, event.batches, *self._counts)
                self._estimate = estimate
                estimate.begin_epoch(event.epoch - 1)
                estimate.skip(event.done)
            case BatchDone():
                if self._estimate is not None:
                    self._estimate.batch_done()
                if time.monotonic() - self._told >= EVERY_S:
                    self._progress(event.epoch)
            case EpochEnded():
                for key, value in event.losses.items():
                    self._run.events.metric(key, value, step=event.epoch, split="train")
                self._run.events.metric("learning_rate", event.learning_rate, step=event.epoch, split="train")
            case Validated():
                if self._estimate is not None:
                    self._estimate.validated()
                for key, value in event.figures.items():
                    self._run.events.metric(key, value, step=event.epoch, split="val")
                self._progress(event.epoch)
            case TrainingStopped(reason="patience"):
                self._run.events.log(f"Ended after epoch {event.epoch}: no later one was better for long enough.")
            case _:
                pass

    def _progress(self, epoch: int) -> None:
        self._told = time.monotonic()
        if self._estimate is not None:
            self._run.events.progress(
                min(self._estimate.value, TRAINED), self._estimate.remaining_s, epoch=epoch, epochs=self._epochs
            )
