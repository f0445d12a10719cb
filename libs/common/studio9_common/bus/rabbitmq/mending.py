"""The bus's own queues, the ladder's and the dead letters', are mended by whoever needs one next.

One that was deleted is declared again at once. One that lost its leader is still declared, and yet takes nothing and
gives nothing: RabbitMQ refuses what is published to it (or never confirms), and ends the whole connection of whoever
reads it. It is made anew, and what was in it is lost; a broker that restarts gets time to find a leader first.
"""

import asyncio
import time

from studio9_common.bus.port import BusUnavailable
from studio9_common.bus.rabbitmq import topology
from studio9_common.bus.rabbitmq.failures import Refused, Unanswered
from studio9_common.bus.rabbitmq.link import Link
from studio9_common.bus.rabbitmq.silence import TRIES
from studio9_common.logs import logger

PATIENCE_S = 60.0
"""How long a queue must have failed whoever used it, TRIES times at least, before it is made anew."""
DEAD_PATIENCE_S = 3_600.0
"""The same for dead letters, which lie nowhere else: a cluster that has lost most of its nodes may get them back. Till
then what would become one is tried again and again."""


class Mender:
    """Remembers, by queue, what failed since it last worked."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._failures: dict[str, tuple[int, float]] = {}
        self._making = asyncio.Lock()

    def worked(self, queue: str) -> None:
        """Somebody used the queue."""
        self._failures.pop(queue, None)

    async def mended(self, queue: str, error: BusUnavailable) -> bool:
        """Whether the queue was made anew after this failure, so that another try may help. Raises BusUnavailable."""
        if not _its_own(error):
            return False
        now = time.monotonic()
        count, since = self._failures.get(queue, (0, now))
        self._failures[queue] = count + 1, since
        if not self._given_up(queue):
            return False
        async with self._making:
            # Whoever waited here finds a new queue, which may hold a confirmed message already.
            if self._given_up(queue):
                logger("bus").error("queue_made_anew", queue=queue)
                await self._link.delete(queue)
                await self._link.repair()
                self.worked(queue)
        return True

    def _given_up(self, queue: str) -> bool:
        count, since = self._failures.get(queue, (0, 0.0))
        return count >= TRIES and time.monotonic() - since >= _patience_s(queue)


def _patience_s(queue: str) -> float:
    return DEAD_PATIENCE_S if queue == topology.DEAD_QUEUE else PATIENCE_S


def _its_own(error: BusUnavailable) -> bool:
    """Whether the queue failed, and not the way to the broker."""
    return isinstance(error, (Refused, Unanswered)) or isinstance(error.__cause__, TimeoutError)
