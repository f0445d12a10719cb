"""Publishing with confirms."""

import asyncio
from collections.abc import Mapping

from aio_pika.abc import AbstractChannel
from pamqp.commands import Basic

from studio9_common.bus.port import BusUnavailable, QueueGone, Unroutable
from studio9_common.bus.rabbitmq.confirms import Confirms
from studio9_common.bus.rabbitmq.failures import translated
from studio9_common.bus.rabbitmq.link import ANSWER_TIMEOUT_S, Link, close_channel, open_channel
from studio9_common.bus.rabbitmq.mending import Mender
from studio9_common.bus.rabbitmq.topology import OWN_QUEUES

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

    async def send(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        message_id: str,
        headers: Mapping[str, str],
        *,
        mandatory: bool = True,
        persistent: bool = True,
        expires_s: float | None = None,
    ) -> None:
        """Returns once the broker has confirmed. Raises Unroutable, BusUnavailable, or QueueGone without exchange."""
        properties = Basic.Properties(
            content_type="application/json",
            delivery_mode=2 if persistent else 1,
            message_id=message_id,
            headers=dict(headers) if headers else None,
            expiration=None if expires_s is None else str(max(0, round(expires_s * 1000))),
        )
        with translated(f"messages with the routing key {routing_key}"):
            confirms = self._confirms
            if confirms is None or confirms.closed:
                confirms = await self._open()
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                await confirms.publish(exchange, routing_key, body, message_id, properties, mandatory)

    async def close(self) -> None:
        if self._wrapper is not None:
            await close_channel(self._wrapper)

    async def _open(self) -> Confirms:
        async with self._opening:
            if self._confirms is None or self._confirms.closed:
                connection = await self._link.connection()
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    self._wrapper, channel = await open_channel(connection, confirms=True)
                self._confirms = Confirms(channel)
            return self._confirms

    async def send_surely(
        self, exchange: str, routing_key: str, body: bytes, message_id: str, headers: Mapping[str, str]
    ) -> None:
        """Sends to an exchange of the bus itself, after mending what was deleted or takes nothing any more. Raises
        BusUnavailable."""
        queue = OWN_QUEUES[exchange]
        try:
            await self.send(exchange, routing_key, body, message_id, headers)
        except (Unroutable, QueueGone):
            await self._link.repair()
        except BusUnavailable as error:
            if not await self._mender.mended(queue, error):
                raise
        else:
            self._mender.worked(queue)
            return
        try:
            await self.send(exchange, routing_key, body, message_id, headers)
        except (Unroutable, QueueGone) as error:
            raise BusUnavailable(f"the exchange {exchange} leads nowhere on the broker") from error
