"""Ending what runs beside, and waiting for it."""

import asyncio
from typing import Any

AGAIN_S = 5.0
"""How long a task that was cancelled may take to clean up before it is cancelled once more."""


class Signal:
    """An `asyncio.Event` that can be waited for with a limit, for loops that do so all the time: nothing is cancelled
    and nothing raised when the limit is over, which costs a fraction of a time-out around an event."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[asyncio.Future[bool]] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Wakes whoever waits; until `clear` nobody waits any more."""
        self._set = True
        for waiter in self._waiting:
            _tell(waiter, True)

    def clear(self) -> None:
        self._set = False

    async def wait(self, within_s: float | None = None) -> bool:
        """Waits until it is set, at most so many seconds (None: for ever); whether it was set."""
        if self._set:
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(within_s, _tell, waiter, False) if within_s is not None else None
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting.remove(waiter)
            if timer is not None:
                timer.cancel()


def _tell(waiter: asyncio.Future[bool], was_set: bool) -> None:
    if not waiter.done():
        waiter.set_result(was_set)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks and waits until all have ended; what they raised stays theirs.

    One cancellation can get lost, and a loop that is written to go on after any error then goes on for ever:
    `asyncio.wait_for` of Python 3.11 drops it where its result comes in the same moment, and a client library that
    loses its connection in that moment raises its own error in its place. So it is said again.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
