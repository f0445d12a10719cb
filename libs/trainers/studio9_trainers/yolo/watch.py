"""What a training tells while it runs."""

import time
from collections.abc import Mapping

from studio9_trainers.remaining import Estimate
from studio9_trainers.run import Run

EVERY_S = 1.0
"""The least time between two progress events."""

VALIDATED = {
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
    "val/box_loss": "box_loss",
    "val/cls_loss": "cls_loss",
    "val/dfl_loss": "dfl_loss",
}
"""The package's keys: ours. Its mAP differs in the third digit from COCO's, which the result holds."""


class Watch:
    """Turns what the loop goes through into events."""

    def __init__(self, run: Run, epochs: int, train_pictures: int, val_pictures: int, final_pictures: int) -> None:
        self._run = run
        self._epochs = epochs
        self._counts = (train_pictures, val_pictures, final_pictures)
        self._estimate = Estimate(epochs, 1, *self._counts)
        self._told = 0.0

    def started(self, epoch: int, batches: int) -> None:
        """The loop begins at `epoch` (from 0) with so many batches in each."""
        self._estimate = Estimate(self._epochs, batches, *self._counts)
        self._estimate.begin_epoch(epoch)

    def epoch_begun(self, epoch: int) -> None:
        """An epoch begins."""
        self._estimate.begin_epoch(epoch)

    def batch_done(self, epoch: int) -> None:
        """A batch is done; told at most once a second."""
        self._estimate.batch_done()
        if time.monotonic() - self._told >= EVERY_S:
            self._tell(epoch)

    def epoch_done(self, epoch: int, losses: Mapping[str, float], metrics: Mapping[str, float], rate: float) -> None:
        """An epoch is trained, validated and saved."""
        self._estimate.validated()
        step = epoch + 1
        events = self._run.events
        for key, value in losses.items():
            events.metric(key.removeprefix("train/"), float(value), step=step, split="train")
        for theirs, ours in VALIDATED.items():
            if theirs in metrics:
                events.metric(ours, float(metrics[theirs]), step=step, split="val")
        events.metric("learning_rate", rate, step=step, split="train")
        self._tell(epoch)

    def _tell(self, epoch: int) -> None:
        self._told = time.monotonic()
        self._run.events.progress(
            min(self._estimate.value, 0.95), self._estimate.remaining_s, epoch=epoch + 1, epochs=self._epochs
        )
