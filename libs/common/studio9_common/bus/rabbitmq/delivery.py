"""A delivery of RabbitMQ."""

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from aiormq.abc import DeliveredMessage

from studio9_common.bus.headers import (
    DEAD_ID,
    DEAD_QUEUE,
    DEAD_REASON,
    FAILURES,
    REASON_LIMIT,
    ROUTING_KEY,
    failures_of,
    rung,
    visible,
)
from studio9_common.bus.port import FAILURE_LIMIT, Outgoing
from studio9_common.bus.rabbitmq import topology
from studio9_common.bus.rabbitmq.wire import routing_key_of, text_headers
from studio9_common.ids import new_id
from studio9_common.logs import logger

if TYPE_CHECKING:
    from studio9_common.bus.rabbitmq.consumer import RabbitConsumer


class RabbitDelivery:
    """See `studio9_common.bus.port.Delivery`. What moves on is first published and confirmed, then acknowledged."""

    __slots__ = ("_consumer", "_ended", "_headers", "_message")

    def __init__(self, consumer: "RabbitConsumer", message: DeliveredMessage) -> None:
        self._consumer = consumer
        self._message = message
        self._headers: dict[str, str] | None = None
        self._ended = False

    @property
    def body(self) -> bytes:
        return self._message.body

    @property
    def message_id(self) -> str:
        return self._message.header.properties.message_id or ""

    @property
    def routing_key(self) -> str:
        return routing_key_of(self._message, self._all_headers())

    @property
    def headers(self) -> Mapping[str, str]:
        return visible(self._all_headers())

    @property
    def redelivered(self) -> bool:
        return bool(self._message.redelivered)

    @property
    def failures(self) -> int:
        counted = failures_of(self._all_headers())
        return counted if self._consumer.aside is None else self._consumer.aside.failures(self.message_id)

    @property
    def ended(self) -> bool:
        return self._ended or self._consumer.left

    async def ack(self) -> None:
        if not self.ended:
            self._consumer.ack(self._tag())
            self._ended = True

    async def retry(self, delay_s: float, *, reason: str) -> None:
        count = self.failures + 1
        if count >= FAILURE_LIMIT:
            await self.dead_letter(f"failed {count} times, the last time: {reason}")
        elif self.ended:
            return
        elif self._consumer.aside is not None:
            self._ended = True
            self._consumer.aside.put(self.message_id, delay_s, partial(self._consumer.give_back, self._tag()))
        else:
            headers = {**self._all_headers(), FAILURES: str(count), ROUTING_KEY: self.routing_key}
            await self._move(topology.delay_exchange(rung(delay_s)), self._consumer.queue, headers)

    async def release(self) -> None:
        if not self.ended:
            await self._end(self._consumer.give_back(self._tag()))

    async def dead_letter(self, reason: str) -> None:
        if self._consumer.aside is not None and not self.ended:
            logger("bus").error("message_dropped", queue=self._consumer.queue, id=self.message_id, reason=reason)
            self._consumer.aside.forget(self.message_id)
            await self.ack()
        elif not self.ended:
            headers = {
                **self._all_headers(),
                ROUTING_KEY: self.routing_key,
                DEAD_ID: new_id(),
                DEAD_QUEUE: self._consumer.queue,
                DEAD_REASON: reason[:REASON_LIMIT],
            }
            await self._move(topology.DEAD, self._consumer.queue, headers)

    async def _move(self, exchange: str, routing_key: str, headers: dict[str, str]) -> None:
        self._consumer.check()
        message = Outgoing(routing_key, self._message.body, self.message_id, headers)
        await self._end(self._consumer.publisher.send_surely(exchange, message))
        if not self._consumer.left:
            self._consumer.ack(self._tag())

    async def _end(self, way: Awaitable[None]) -> None:
        self._ended = True
        try:
            await way
        except BaseException:
            self._ended = False  # still in this consumer's hands
            raise

    def _all_headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = text_headers(self._message)
        return self._headers

    def _tag(self) -> int:
        tag = self._message.delivery_tag
        assert tag is not None
        return tag
