"""Publishing with confirms."""

import asyncio
from collections.abc import Sequence

from aio_pika.abc import AbstractChannel

from studio9_common.bus.port import BusUnavailable, Outgoing, QueueGone, Unroutable
from studio9_common.bus.rabbitmq.confirms import Confirms
from studio9_common.bus.rabbitmq.failures import translated
from studio9_common.bus.rabbitmq.link import ANSWER_TIMEOUT_S, Link, close_channel, open_channel
from studio9_common.bus.rabbitmq.mending import Mender
from studio9_common.bus.rabbitmq.topology import OWN_QUEUES
from studio9_common.bus.rabbitmq.wire import Properties
from studio9_common.errors import Studio9Error

CONFIRM_TIMEOUT_S = 15.0
"""A broker that has not confirmed within this time is taken to be away; the message may have arrived all the same."""


class Publisher:
    """One channel in confirm mode, opened again after a loss."""

    def __init__(self, link: Link, mender: Mender) -> None:
        self._link = link
        self._mender = mender
        self._wrapper: AbstractChannel | None = None
        self._confirms: Confirms | None = None
        self._opening = asyncio.Lock()

    async def send(self, exchange: str, message: Outgoing) -> None:
        """Returns once the broker has confirmed. Raises Unroutable, BusUnavailable, or QueueGone without exchange."""
        properties = Properties(message.message_id, message.headers, message.persistent, message.expires_s)
        with translated(_named(message.routing_key)):
            confirms = await self._current()
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                await confirms.publish(exchange, message.routing_key, message.body, properties, message.mandatory)

    async def send_many(self, exchange: str, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        """What `send` of each would raise, or None. All are on their way together, within one time limit, and need no
        task each."""
        try:
            with translated("the messages"):
                confirms = await self._current()
        except Studio9Error as error:
            return [error] * len(messages)
        outcomes: list[Studio9Error | None] = [None] * len(messages)
        ways: dict[int, asyncio.Future[object]] = {}
        later: list[int] = []
        try:
            for index, one in enumerate(messages):
                if confirms.in_flight(one.message_id):
                    later.append(index)
                    continue
                properties = Properties(one.message_id, one.headers, one.persistent, one.expires_s)
                try:
                    with translated(_named(one.routing_key)):
                        ways[index] = confirms.begin(exchange, one.routing_key, one.body, properties, one.mandatory)
                except Studio9Error as error:
                    outcomes[index] = error
            if ways:
                await asyncio.wait(ways.values(), timeout=CONFIRM_TIMEOUT_S)
            for index, way in ways.items():
                outcomes[index] = _outcome(way, messages[index].routing_key)
        finally:
            for index, way in ways.items():
                way.cancel()  # where it is not done, and this is cancelled itself
                confirms.end(messages[index].message_id)
        again = await asyncio.gather(*(self._alone(exchange, messages[index]) for index in later))
        for index, outcome in zip(later, again, strict=True):
            outcomes[index] = outcome
        return outcomes

    async def _alone(self, exchange: str, message: Outgoing) -> Studio9Error | None:
        try:
            await self.send(exchange, message)
        except Studio9Error as error:
            return error
        return None

    async def close(self) -> None:
        if self._wrapper is not None:
            await close_channel(self._wrapper)

    async def _current(self) -> Confirms:
        confirms = self._confirms
        return await self._open() if confirms is None or confirms.closed else confirms

    async def _open(self) -> Confirms:
        async with self._opening:
            if self._confirms is None or self._confirms.closed:
                connection = await self._link.connection()
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    self._wrapper, channel = await open_channel(connection, confirms=True)
                self._confirms = Confirms(channel)
            return self._confirms

    async def send_surely(self, exchange: str, message: Outgoing) -> None:
        """Sends to an exchange of the bus itself, after mending what was deleted or takes nothing any more. Raises
        BusUnavailable."""
        queue = OWN_QUEUES[exchange]
        try:
            await self.send(exchange, message)
        except (Unroutable, QueueGone):
            await self._link.repair()
        except BusUnavailable as error:
            if not await self._mender.mended(queue, error):
                raise
        else:
            self._mender.worked(queue)
            return
        try:
            await self.send(exchange, message)
        except (Unroutable, QueueGone) as error:
            raise BusUnavailable(f"the exchange {exchange} leads nowhere on the broker") from error


def _outcome(way: "asyncio.Future[object]", routing_key: str) -> Studio9Error | None:
    """What became of a message; it is waited for no longer."""
    if way.done() and not way.cancelled() and way.exception() is None:
        return None
    try:
        with translated(_named(routing_key)):
            if not way.done():
                way.cancel()
                raise TimeoutError
            way.result()
    except Studio9Error as error:
        return error
    return None


def _named(routing_key: str) -> str:
    return f"messages with the routing key {routing_key}"
