"""How far a training is and how long it still needs, from what its parts took so far."""

import time
from collections.abc import Callable

FIRST_GUESS = 0.35
"""Before the first validation: what a picture costs there, against one in training (forward only)."""


class Estimate:
    """Counts batches, validations and the final evaluation of one training.

    Times are measured since `start`; a training that goes on from a checkpoint begins with its finished epochs.
    """

    def __init__(
        self,
        epochs: int,
        batches: int,
        train_pictures: int,
        val_pictures: int,
        final_pictures: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs, self._batches = epochs, batches
        self._train, self._val, self._final = train_pictures, val_pictures, final_pictures
        self._clock = clock
        self._mark = clock()
        self._batch_s: float | None = None
        self._val_s: float | None = None
        self._epoch, self._batch = 0, 0
        self._value = 0.0

    def begin_epoch(self, epoch: int) -> None:
        """An epoch (counted from 0) begins."""
        self._epoch, self._batch = epoch, 0
        self._mark = self._clock()

    def skip(self, batches: int) -> None:
        """So many batches of this epoch were done by an earlier attempt."""
        self._batch = batches

    def batch_done(self) -> None:
        """One more batch of this epoch is done."""
        took, self._mark = self._lap()
        # The newest counts most: the machine may have become busier.
        self._batch_s = took if self._batch_s is None else 0.8 * self._batch_s + 0.2 * took
        self._batch += 1

    def validated(self) -> None:
        """This epoch's validation is done."""
        self._val_s, self._mark = self._lap()
        self._epoch, self._batch = self._epoch + 1, 0

    @property
    def remaining_s(self) -> float | None:
        """Seconds still to go; none before the first batch."""
        if self._batch_s is None:
            return None
        validations = self._epochs - self._epoch
        batches = validations * self._batches - self._batch
        return batches * self._batch_s + validations * self._validation() + self._final * self._per_picture()

    @property
    def value(self) -> float:
        """The part that is done, 0 to 1; it never goes back."""
        if self._batch_s is None:
            return self._value
        remaining = self.remaining_s or 0.0
        whole = self._epochs * (self._batches * self._batch_s + self._validation()) + self._final * self._per_picture()
        self._value = max(self._value, 1.0 - remaining / whole) if whole > 0 else self._value
        return self._value

    def _validation(self) -> float:
        return self._val * self._per_picture()

    def _per_picture(self) -> float:
        if self._val_s is not None and self._val:
            return self._val_s / self._val
        return (self._batch_s or 0.0) * self._batches / max(self._train, 1) * FIRST_GUESS

    def _lap(self) -> tuple[float, float]:
        present = self._clock()
        return present - self._mark, present
