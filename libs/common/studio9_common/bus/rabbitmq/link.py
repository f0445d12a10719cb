"""The connection: opened when it is needed, again after a loss, with back-off between failed attempts."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel

from studio9_common.bus.port import BusUnavailable
from studio9_common.bus.rabbitmq.failures import translate, translated
from studio9_common.tasks import end

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
COMMANDS_TIMEOUT_S = 30.0
"""For a few commands together: a quorum queue without a leader answers none, on a connection that is well."""
HEARTBEAT_S = 10
BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 5.0


class _Connection(aio_pika.Connection):
    """Closed by us alone: the library would begin to close one that never came to be in whatever thread collects it."""

    def __del__(self) -> None:
        return


class Link:
    """One connection to the broker. `prepare` runs on every new connection before anybody else gets it.

    While the broker is away a caller gets BusUnavailable at once, except the one whose call makes the next attempt.
    """

    def __init__(self, url: str, name: str, prepare: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        self._url = url
        self._name = name
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._attempt: asyncio.Task[AbstractConnection] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._last = ""
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed and _alive(self._connection)

    async def connection(self) -> AbstractConnection:
        """The open connection. Raises BusUnavailable."""
        if self._closed:
            raise BusUnavailable("this bus is closed")
        if self.connected and self._connection is not None:
            return self._connection
        if self._attempt is None or self._attempt.done():
            wait_s = self._not_before - time.monotonic()
            if wait_s > 0:
                raise BusUnavailable(f"{self._last}; the next attempt is in {wait_s:.1f} s")
            self._attempt = asyncio.create_task(self._connect(), name=f"bus-connect-{self._name}")
            self._attempt.add_done_callback(_look_at)
        return await asyncio.shield(self._attempt)

    @contextlib.asynccontextmanager
    async def channel(self, subject: str, within_s: float = COMMANDS_TIMEOUT_S) -> AsyncIterator[Channel]:
        """A channel of its own for a few commands, since an error closes it. Raises the bus's errors."""
        async with channel_of(await self.connection(), subject, within_s) as channel:
            yield channel

    async def repair(self) -> None:
        """Prepares the connection again, after something that should be on the broker was not."""
        connection = await self.connection()
        with translated("the broker"):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._prepare(connection)

    async def delete(self, queue: str) -> None:
        """Removes a queue with all that is in it; one that is gone is no error."""
        async with self.channel(f"the queue {queue}") as channel:
            # A quorum queue answers `if_unused` and `if_empty` by closing the connection.
            await channel.queue_delete(queue, if_unused=False, if_empty=False)

    async def drop(self) -> None:
        """Ends the connection; the next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close(connection)

    async def close(self) -> None:
        self._closed = True
        if self._attempt is not None and not self._attempt.done():
            await end(self._attempt)
        await self.drop()

    async def _connect(self) -> AbstractConnection:
        await self.drop()
        connection: AbstractConnection | None = None
        try:
            with translated("the broker"):
                connection = await aio_pika.connect(
                    self._url,
                    timeout=CONNECT_TIMEOUT_S,
                    client_properties={"connection_name": self._name},
                    heartbeat=HEARTBEAT_S,
                    connection_class=_Connection,
                )
                async with asyncio.timeout(COMMANDS_TIMEOUT_S):
                    await self._prepare(connection)
        except BaseException as error:
            self._failures += 1
            backoff_s = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2 ** min(self._failures - 1, 10))
            self._not_before = time.monotonic() + backoff_s * random.uniform(0.5, 1.0)
            self._last = translate(error, "the broker").message
            if connection is not None:
                await _close(connection)
            raise
        self._failures = 0
        self._connection = connection
        return connection


async def open_channel(connection: AbstractConnection, *, confirms: bool) -> tuple[AbstractChannel, Channel]:
    """A channel and the library's own object beneath, which is what works without a task and a copy per message."""
    wrapper = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    await wrapper.initialize()
    channel = await wrapper.get_underlay_channel()
    assert isinstance(channel, Channel)
    return wrapper, channel


@contextlib.asynccontextmanager
async def channel_of(
    connection: AbstractConnection, subject: str, within_s: float = COMMANDS_TIMEOUT_S
) -> AsyncIterator[Channel]:
    """A channel for a few commands about `subject`. Raises the bus's errors."""
    with translated(subject):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            wrapper, channel = await open_channel(connection, confirms=False)
        try:
            async with asyncio.timeout(within_s):
                yield channel
        finally:
            await close_channel(wrapper)


async def close_channel(wrapper: AbstractChannel) -> None:
    """What the channel's deliveries hold goes back to their queue."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(2):
            await wrapper.close()


async def _close(connection: AbstractConnection) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(2):
            await connection.close()


def _alive(connection: AbstractConnection) -> bool:
    return connection.transport is not None and connection.transport.connection.is_opened


def _look_at(attempt: asyncio.Task[AbstractConnection]) -> None:
    if not attempt.cancelled():
        attempt.exception()  # every caller may have gone meanwhile
