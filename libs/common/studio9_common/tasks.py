"""Ending what runs beside."""

import asyncio
from typing import Any

AGAIN_S = 5.0
"""How long a task that was cancelled may take to clean up before it is cancelled once more."""


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
