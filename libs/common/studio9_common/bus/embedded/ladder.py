"""Delayed messages of the embedded bus: one timer for the earliest; bodies of durable ones stay in the file."""

import asyncio
import heapq
import time
from collections.abc import Callable

from studio9_common.bus.embedded.message import Message

Entry = tuple[float, int, str, Message | None]
"""When it is due (Unix time in seconds), its seq, its queue, and the message itself if only memory holds it."""


class Ladder:
    """Calls `release` with the entries that are due."""

    def __init__(self, release: Callable[[list[Entry]], None]) -> None:
        self._release = release
        self._heap: list[Entry] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, *entries: Entry) -> None:
        for entry in entries:
            heapq.heappush(self._heap, entry)
        self._set_timer()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait_s = max(0.0, self._heap[0][0] - time.time())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._fire)

    def _fire(self) -> None:
        due: list[Entry] = []
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap))
        if due:
            self._release(due)
        self._set_timer()
