"""How long the event loop was kept by one callback."""

import asyncio.events
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Stalls:
    """`longest_ms`: processor time that the longest callback took of the loop's thread. What other threads and other
    processes do meanwhile does not count, so a busy machine changes nothing; `wall_ms` is by the clock on the wall."""

    longest_ms = 0.0
    wall_ms = 0.0

    def note(self, busy_s: float, wall_s: float) -> None:
        self.longest_ms = max(self.longest_ms, busy_s * 1e3)
        self.wall_ms = max(self.wall_ms, wall_s * 1e3)


@contextmanager
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stalls]:
    """Measures every callback that is run within the block. What earlier tests left is not collected meanwhile."""
    stalls = Stalls()
    run = asyncio.events.Handle._run  # the one place through which every callback of a loop goes

    def timed(handle: asyncio.Handle) -> None:
        busy, wall = time.thread_time(), time.perf_counter()
        try:
            run(handle)
        finally:
            stalls.note(time.thread_time() - busy, time.perf_counter() - wall)

    gc.collect()
    gc.disable()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.events.Handle, "_run", timed)
            yield stalls
    finally:
        gc.enable()
