"""The remaining time comes from what was measured, and progress never goes back."""

import pytest

from studio9_trainers.remaining import Estimate


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_steady_training_is_foretold() -> None:
    clock = Clock()
    estimate = Estimate(epochs=3, batches=4, train_pictures=32, val_pictures=8, final_pictures=40, clock=clock)
    assert (estimate.remaining_s, estimate.value) == (None, 0)
    total = 3 * (4 * 2.0 + 8 * 0.5) + 40 * 0.5
    for epoch in range(3):
        estimate.begin_epoch(epoch)
        for _ in range(4):
            clock.time += 2.0
            estimate.batch_done()
        clock.time += 4.0
        estimate.validated()
        if epoch == 0:
            assert estimate.remaining_s == pytest.approx(total - 12)
            assert estimate.value == pytest.approx(12 / total)
    assert estimate.remaining_s == pytest.approx(20)
    assert estimate.value == pytest.approx(36 / total)


def test_progress_never_goes_back_when_the_machine_becomes_busy() -> None:
    clock = Clock()
    estimate = Estimate(epochs=2, batches=10, train_pictures=80, val_pictures=8, final_pictures=8, clock=clock)
    seen = []
    for epoch in range(2):
        estimate.begin_epoch(epoch)
        for batch in range(10):
            clock.time += 1.0 if batch < 5 else 9.0
            estimate.batch_done()
            seen.append(estimate.value)
        clock.time += 1.0
        estimate.validated()
        seen.append(estimate.value)
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] <= 1


def test_a_resumed_training_begins_where_it_was() -> None:
    clock = Clock()
    estimate = Estimate(epochs=4, batches=2, train_pictures=8, val_pictures=0, final_pictures=0, clock=clock)
    estimate.begin_epoch(2)
    clock.time += 1
    estimate.batch_done()
    assert estimate.value == pytest.approx(5 / 8)
    assert estimate.remaining_s == pytest.approx(3)
