"""Failed messages of a user that may not reach the delay ladder: it waits unacknowledged and goes back to its queue.

Their failures are counted here, so a restart begins anew; a connection that is lost only makes them come earlier.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from studio9_common.errors import Studio9Error

REMEMBERED = 1_000
"""Messages whose failures are counted."""
LONGEST_S = 30.0
"""A message that waits takes room in the prefetch."""


class Aside:
    """The messages of one bus that wait, and their counts."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._waiting: set[asyncio.Task[None]] = set()

    def failures(self, message_id: str) -> int:
        """How often it has failed here."""
        return self._failures.get(message_id, 0)

    def put(self, message_id: str, delay_s: float, give_back: Callable[[], Awaitable[None]]) -> None:
        """Counts a failure; `give_back` is called after the delay."""
        self._failures[message_id] = self.failures(message_id) + 1
        self._failures.move_to_end(message_id)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)
        task = asyncio.create_task(_later(min(delay_s, LONGEST_S), give_back), name="message-aside")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def forget(self, message_id: str) -> None:
        """It will not come again."""
        self._failures.pop(message_id, None)

    def close(self) -> None:
        """Waits for none of them: the broker delivers what was not acknowledged again."""
        for task in self._waiting:
            task.cancel()


async def _later(delay_s: float, give_back: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(delay_s)
    with suppress(Studio9Error):  # the channel is lost: the broker has it already
        await give_back()
