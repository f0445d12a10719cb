"""Tells waiting tasks of this process that there is something to do. Another instance's rings are not heard: whoever
waits looks by itself once in a while."""

import asyncio
from collections import defaultdict

OUTBOX = "outbox"
CONFIG = "config"
RESULTS = "results"
MERGES = "merges"
TRANSFERS = "transfers"
EVENTS = "events"
DELIVERIES = "deliveries"
UPLOADS = "uploads"


class Bell:
    """Named bells. A ring reaches whoever waits, and the first one who comes afterwards."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._rung: set[str] = set()

    def ring(self, *names: str) -> None:
        for name in names:
            waiting = self._waiting.pop(name, set())
            if not waiting:
                self._rung.add(name)
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def wait(self, name: str, timeout_s: float) -> None:
        """Returns at the next ring, or after `timeout_s` seconds."""
        if name in self._rung:
            self._rung.discard(name)
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[name].add(future)
        try:
            await asyncio.wait([future], timeout=timeout_s)
        finally:
            self._waiting[name].discard(future)
