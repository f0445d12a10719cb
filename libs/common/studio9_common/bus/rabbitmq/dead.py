"""The dead letters on the broker: listed by taking and giving back, one reader at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelLockedResource, ConnectionInternalError

from studio9_common.bus.headers import DEAD_ID, DEAD_QUEUE, DEAD_REASON, FAILURES, ROUTING_KEY, visible
from studio9_common.bus.port import BusUnavailable, DeadLetter, Outgoing, QueueGone, Unroutable
from studio9_common.bus.rabbitmq import topology
from studio9_common.bus.rabbitmq.failures import Unanswered
from studio9_common.bus.rabbitmq.link import ANSWER_TIMEOUT_S, Link
from studio9_common.bus.rabbitmq.mending import Mender
from studio9_common.bus.rabbitmq.publisher import Publisher
from studio9_common.bus.rabbitmq.wire import deaths, routing_key_of, text_headers
from studio9_common.ids import created_at, is_id

READER_LOCK = "studio9.dead.reader"
"""An exclusive queue without messages: whoever has it reads the dead letters. Its connection's end frees it."""
LOCK_PATIENCE_S = 10.0
READING_S = 300.0
"""To look through all of them; each message has a time limit of its own."""


@dataclass(frozen=True, slots=True)
class _Found:
    letter: DeadLetter
    headers: dict[str, str]
    tag: int


class DeadLetters:
    """Reads, replays and drops. While one reader works, another waits."""

    def __init__(self, link: Link, publisher: Publisher, mender: Mender) -> None:
        self._link = link
        self._publisher = publisher
        self._mender = mender
        self._mine = asyncio.Lock()

    async def list(self, limit: int) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        async with self._reading() as channel:
            async for found in _walk(channel):
                letters.append(found.letter)
                if len(letters) >= limit:
                    break
        return letters

    async def replay(self, identifier: str) -> bool:
        """Raises QueueGone, and keeps the dead letter, when its queue does not exist."""
        async with self._reading() as channel:
            async for found in _walk(channel):
                if found.letter.id != identifier:
                    continue
                kept = {k: v for k, v in found.headers.items() if k not in (FAILURES, DEAD_ID, DEAD_QUEUE, DEAD_REASON)}
                letter = found.letter
                try:
                    message = Outgoing(letter.queue, letter.body, letter.message_id, kept)
                    await self._publisher.send(topology.REPLAY, message)
                except Unroutable as error:
                    raise QueueGone(f"the queue {letter.queue} is gone; declare it before this replay") from error
                await channel.basic_ack(found.tag)
                return True
        return False

    async def drop(self, identifier: str) -> bool:
        async with self._reading() as channel:
            async for found in _walk(channel):
                if found.letter.id == identifier:
                    await channel.basic_ack(found.tag)
                    return True
        return False

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[Channel]:
        """A channel whose end gives everything back that was taken and not acknowledged."""
        async with self._mine:
            await self._lock()
            try:
                await self._declared()
                async with self._link.channel(topology.DEAD_QUEUE, READING_S) as channel:
                    yield channel
                self._mender.worked(topology.DEAD_QUEUE)
            except Unanswered as error:
                await self._mender.mended(topology.DEAD_QUEUE, error)
                raise
            finally:
                await self._unlock()

    async def _declared(self) -> None:
        """Makes the queue again where it was deleted."""
        try:
            async with self._link.channel(topology.DEAD_QUEUE) as channel:
                await channel.queue_declare(topology.DEAD_QUEUE, passive=True)
        except QueueGone:
            await self._link.repair()

    async def _lock(self) -> None:
        deadline = asyncio.get_running_loop().time() + LOCK_PATIENCE_S
        while not await self._locked():
            if asyncio.get_running_loop().time() > deadline:
                raise BusUnavailable("somebody else is reading the dead letters; try again shortly")
            await asyncio.sleep(0.1)

    async def _locked(self) -> bool:
        async with self._link.channel(READER_LOCK) as channel:
            try:
                await channel.queue_declare(READER_LOCK, exclusive=True)
            except ChannelLockedResource:
                return False
        return True

    async def _unlock(self) -> None:
        with contextlib.suppress(Exception):
            async with self._link.channel(READER_LOCK) as channel:
                await channel.queue_delete(READER_LOCK)


async def _walk(channel: Channel) -> AsyncIterator[_Found]:
    """Every dead letter once; those that merely expired are removed."""
    while True:
        try:
            message = await channel.basic_get(topology.DEAD_QUEUE, timeout=ANSWER_TIMEOUT_S)
        except (ConnectionInternalError, TimeoutError) as error:
            raise Unanswered from error
        tag = message.delivery_tag
        if tag is None:
            return
        history = deaths(message)
        if history and history[0].get("reason") == "expired":
            await channel.basic_ack(tag)
        else:
            headers = text_headers(message)
            yield _Found(_letter(message, headers), headers, tag)


def _letter(message: DeliveredMessage, headers: dict[str, str]) -> DeadLetter:
    message_id = message.header.properties.message_id or ""
    history = deaths(message)
    queue, reason, identifier = headers.get(DEAD_QUEUE), headers.get(DEAD_REASON), headers.get(DEAD_ID)
    if queue is None or reason is None or identifier is None:  # given up by the broker: its delivery limit
        death = (history or [{}])[0]
        queue, reason = str(death.get("queue", "")), str(death.get("reason", "unknown"))
        identifier = f"{queue}/{message_id}/{death.get('time')}"
        keys = death.get("routing-keys")
        headers.setdefault(ROUTING_KEY, str(keys[0]) if isinstance(keys, list) and keys else "")
    return DeadLetter(
        id=identifier,
        queue=queue,
        reason=reason,
        routing_key=routing_key_of(message, headers),
        message_id=message_id,
        body=message.body,
        headers=visible(headers),
        died_at=_died_at(identifier, history),
    )


def _died_at(identifier: str, history: list[dict[str, Any]]) -> datetime | None:
    """By our own id of the dead letter, or by the broker's book."""
    if is_id(identifier):
        return created_at(identifier)
    time = history[0].get("time") if history else None
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
