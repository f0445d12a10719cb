"""A channel in confirm mode whose messages of one turn of the event loop leave in one write.

The library's own `basic_publish` writes to the socket once per message; under many publishers that write is most of
the cost. Here the frames are gathered, and only sequence numbers and confirmations are the library's.
"""

import asyncio
from functools import lru_cache

import pamqp.frame
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.commands import Basic

from studio9_common.bus.port import BusUnavailable
from studio9_common.bus.rabbitmq.failures import translate
from studio9_common.bus.rabbitmq.wire import Properties


class Confirms:
    """Publishes on one open channel until that is closed."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._writer: asyncio.Task[None] | None = None
        self._in_flight: dict[str, asyncio.Future[object]] = {}
        channel.closing.add_done_callback(self._lose)

    @property
    def closed(self) -> bool:
        return self._channel.is_closed

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: Properties,
        mandatory: bool,
    ) -> None:
        """Returns once the broker has confirmed. Raises the library's errors, or the bus's when the channel is lost."""
        # The library finds a returned message by its id, so an id is in flight only once.
        message_id = properties.message_id
        while (earlier := self._in_flight.get(message_id)) is not None:
            await asyncio.wait([earlier])
        confirmation = self.begin(exchange, routing_key, body, properties, mandatory)
        try:
            await confirmation
        finally:
            self.end(message_id)

    def in_flight(self, message_id: str) -> bool:
        """Whether a message with this id waits for its confirm."""
        return message_id in self._in_flight

    def begin(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: Properties,
        mandatory: bool,
    ) -> "asyncio.Future[object]":
        """Puts a message, whose id is not in flight, on its way; what it returns ends with the broker's confirm, or as
        `publish` would fail. Whoever calls it calls `end` after that."""
        if self._channel.is_closed:
            raise BusUnavailable("the channel to the broker was closed")
        frames = _marshal(self._channel, exchange, routing_key, body, properties, mandatory)
        confirmation: asyncio.Future[object] = self._loop.create_future()
        tag = self._channel.delivery_tag = self._channel.delivery_tag + 1
        self._channel.confirmations[tag] = confirmation
        self._channel.message_id_delivery_tag[properties.message_id] = tag
        self._in_flight[properties.message_id] = confirmation
        self._frames += frames
        if self._writer is None:
            self._writer = self._loop.create_task(self._write())
        return confirmation

    def end(self, message_id: str) -> None:
        """Nobody waits for this message's confirm any more."""
        self._in_flight.pop(message_id, None)
        self._channel.message_id_delivery_tag.pop(message_id, None)

    async def _write(self) -> None:
        try:
            while self._frames:
                payload = b"".join(self._frames)
                self._frames.clear()
                await self._channel.write_queue.put(ChannelFrame(payload, should_close=False))
        finally:
            self._writer = None

    def _lose(self, closing: "asyncio.Future[object]") -> None:
        reason = None if closing.cancelled() else closing.exception()
        error = translate(reason or ConnectionError(), "the exchange")
        for confirmation in list(self._in_flight.values()):
            if not confirmation.done():
                confirmation.set_exception(error)
        if self._writer is not None:
            self._writer.cancel()


def _marshal(
    channel: Channel, exchange: str, routing_key: str, body: bytes, properties: Properties, mandatory: bool
) -> list[bytes]:
    size = channel.max_content_size
    return [
        _method(exchange, routing_key, mandatory, channel.number),
        properties.frame(channel.number, len(body)),
        *(
            pamqp.frame.marshal(ContentBody(body[start : start + size]), channel.number)
            for start in range(0, len(body), size)
        ),
    ]


@lru_cache(maxsize=1024)
def _method(exchange: str, routing_key: str, mandatory: bool, channel: int) -> bytes:
    frame = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
    return pamqp.frame.marshal(frame, channel)
