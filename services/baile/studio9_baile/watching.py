"""Wakes the streams of server-sent events when their organisation has new ones.

One look serves all streams of this process: at once when something was emitted here, and every second for what other
instances emit. Whoever listens reads the events from the database itself, as fast as its client takes them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from studio9_baile.database import Database
from studio9_common.errors import Studio9Error

MOST_OF_ONE_USER = 20
CLOSING_S = 2.0
"""How long a stop waits for streams whose clients do not take what is sent."""


class TooManyStreams(Studio9Error):
    """You have too many open streams of events; close some of them."""

    status = 429
    code = "too_many_streams"


class EventWatch:
    """See the module's docstring."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: dict[str, int] = {}
        self._listeners: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self.closed = False

    async def step(self) -> bool:
        """The step of its loop: looks at who has new events. Raises DatabaseUnavailable."""
        if self._listeners:
            async with self._database.system(writing=False) as work:
                found = await work.next_events(list(self._listeners))
            fresh = {name: number for name, number in found.items() if number > self._next.get(name, 0)}
            if fresh:
                self._next.update(fresh)
                self._wake()
        return False

    async def close(self) -> None:
        """Ends all streams, and waits for those that are reading from the database."""
        self.closed = True
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                while self._listeners:
                    await self._left.wait()
                    self._left.clear()

    def check_room(self, user: str) -> None:
        """Raises TooManyStreams."""
        if self._users[user] >= MOST_OF_ONE_USER:
            raise TooManyStreams

    @contextmanager
    def listening(self, organisation: str, user: str) -> Iterator[None]:
        """For as long as a stream is open."""
        self._listeners[organisation] += 1
        self._users[user] += 1
        try:
            yield
        finally:
            for counter, name in ((self._listeners, organisation), (self._users, user)):
                counter[name] -= 1
                if not counter[name]:
                    del counter[name]
            if organisation not in self._listeners:
                self._next.pop(organisation, None)
            self._left.set()

    async def wait(self, organisation: str, number: int, timeout_s: float) -> None:
        """Returns when there is an event after this number, when streams must end, or after `timeout_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.closed and self._next.get(organisation, 0) <= number + 1:
                    await self._news.wait()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
