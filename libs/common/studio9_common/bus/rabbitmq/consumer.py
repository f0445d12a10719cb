"""A subscription on a channel of its own, so that leaving it gives back exactly what it holds."""

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Self

from aio_pika.abc import AbstractChannel
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from studio9_common.bus.port import BusUnavailable, Delivery, QueueGone
from studio9_common.bus.rabbitmq.acks import Acks
from studio9_common.bus.rabbitmq.aside import Aside
from studio9_common.bus.rabbitmq.delivery import RabbitDelivery
from studio9_common.bus.rabbitmq.failures import translate, translated
from studio9_common.bus.rabbitmq.link import ANSWER_TIMEOUT_S, Link, close_channel, open_channel
from studio9_common.bus.rabbitmq.publisher import Publisher
from studio9_common.bus.rabbitmq.silence import Silence
from studio9_common.errors import Studio9Error


class RabbitConsumer:
    """See `studio9_common.bus.port.Consumer`."""

    def __init__(
        self,
        link: Link,
        publisher: Publisher,
        silence: Silence,
        queue: str,
        prefetch: int,
        aside: Aside | None = None,
    ) -> None:
        self.queue = queue
        self.publisher = publisher
        self.aside = aside
        self.left = False
        self.lost: Studio9Error | None = None
        self._link = link
        self._silence = silence
        self._prefetch = max(1, min(prefetch, 65535))
        self._buffer: deque[DeliveredMessage] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._wrapper: AbstractChannel | None = None
        self._channel: Channel | None = None
        self._acks: Acks | None = None

    async def __aenter__(self) -> Self:
        connection = await self._link.connection()
        with translated(f"the queue {self.queue}"):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._wrapper, channel = await open_channel(connection, confirms=False)
                self._channel, self._acks = channel, Acks(channel, self._prefetch)
                channel.closing.add_done_callback(self._on_closed)
                channel.on_consumer_cancel_callbacks.add(self._on_cancel)
                try:
                    await channel.basic_qos(prefetch_count=self._prefetch)
                    await self._begin(channel)
                except BaseException:
                    await close_channel(self._wrapper)
                    raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True
        self._buffer.clear()
        if self._acks is not None and self.lost is None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await self._acks.flush()
        if self._wrapper is not None:
            await close_channel(self._wrapper)

    async def _begin(self, channel: Channel) -> None:
        try:
            await channel.basic_consume(self.queue, self._on_message)
        except BaseException as error:
            self._silence.failed(self.queue, error)
            raise
        self._silence.broken(self.queue)

    async def get(self, limit: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        if not self._buffer and self.lost is None:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrival
            except TimeoutError:
                return []
            finally:
                self._arrival = None
        if self.lost is not None:
            self._buffer.clear()  # the broker gives them to the next consumer
            raise self.lost
        taken = min(limit, len(self._buffer))
        return [RabbitDelivery(self, self._buffer.popleft()) for _ in range(taken)]

    def ack(self, tag: int) -> None:
        """Raises BusUnavailable when the channel is lost: the message comes again."""
        self.check()
        assert self._acks is not None
        self._acks.add(tag)

    async def give_back(self, tag: int) -> None:
        self.check()
        assert self._acks is not None
        with translated(f"the queue {self.queue}"):
            await self._acks.give_back(tag)

    def check(self) -> None:
        """Raises BusUnavailable when the channel is lost, whatever the reason."""
        if self.lost is not None:
            raise BusUnavailable(f"the channel of {self.queue} is lost, its deliveries come again")

    async def _on_message(self, message: DeliveredMessage) -> None:
        if self.left or self._acks is None or message.delivery_tag is None:
            return
        self._acks.expect(message.delivery_tag)
        self._buffer.append(message)
        self._wake()

    def _on_cancel(self, frame: Basic.Cancel) -> None:
        self._lose(QueueGone(f"the queue {self.queue} was deleted"))

    def _on_closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        self._lose(translate(error or ConnectionError(), f"the queue {self.queue}"))

    def _lose(self, error: Studio9Error) -> None:
        if self.lost is None and not self.left:
            self.lost = error
            self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
