"""Consumers and deliveries of the embedded bus."""

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from studio9_common.bus.embedded.message import Message
from studio9_common.bus.embedded.queues import QueueState
from studio9_common.bus.headers import FAILURES, failures_of, rung, visible
from studio9_common.bus.port import FAILURE_LIMIT, BusUnavailable, Delivery, QueueGone

if TYPE_CHECKING:
    from studio9_common.bus.embedded.bus import EmbeddedBus


class EmbeddedDelivery:
    """See `studio9_common.bus.port.Delivery`."""

    __slots__ = ("_consumer", "_ended", "_message")

    def __init__(self, consumer: "EmbeddedConsumer", message: Message) -> None:
        self._consumer = consumer
        self._message = message
        self._ended = False

    @property
    def body(self) -> bytes:
        return self._message.body

    @property
    def message_id(self) -> str:
        return self._message.message_id

    @property
    def routing_key(self) -> str:
        return self._message.routing_key

    @property
    def headers(self) -> Mapping[str, str]:
        return visible(self._message.headers)

    @property
    def redelivered(self) -> bool:
        return self._message.redelivered

    @property
    def failures(self) -> int:
        return failures_of(self._message.headers)

    @property
    def ended(self) -> bool:
        return self._ended or not self._consumer.holds(self._message)

    async def ack(self) -> None:
        if self._end():
            self._consumer.bus.discard(self._message)
            self._consumer.finish(self._message)

    async def retry(self, delay_s: float, *, reason: str) -> None:
        count = self.failures + 1
        if count >= FAILURE_LIMIT:
            await self.dead_letter(f"failed {count} times, the last time: {reason}")
        elif self._end():
            headers = {**self._message.headers, FAILURES: str(count)}
            await self._settle(self._consumer.bus.delay(self._message, headers, rung(delay_s)))

    async def release(self) -> None:
        if self._end():
            self._consumer.give_back([self._message])

    async def dead_letter(self, reason: str) -> None:
        if self._end():
            await self._settle(self._consumer.bus.bury(self._message, reason))

    def _end(self) -> bool:
        if self.ended:
            return False
        self._ended = True
        return True

    async def _settle(self, written: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(written)
        except BusUnavailable:
            self._ended = False  # not on disk: the message is still in this consumer's hands
            raise
        self._consumer.finish(self._message)


class EmbeddedConsumer:
    """See `studio9_common.bus.port.Consumer`."""

    def __init__(self, bus: "EmbeddedBus", name: str, prefetch: int) -> None:
        self.bus = bus
        self.prefetch = max(1, prefetch)
        self._name = name
        self._queue: QueueState | None = None
        self._unacked: dict[int, Message] = {}

    async def __aenter__(self) -> Self:
        self._queue = self.bus.queue(self._name)
        self._queue.takers.append(self)
        self.bus.in_use(self._queue)
        self._queue.fill()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            return
        held = list(self._unacked.values())
        self._unacked.clear()
        if self.bus.has(queue):
            queue.put_back(held)
        queue.leave(self)
        self.bus.left(queue)

    async def get(self, limit: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if taken := self._take(limit):
                        return taken
                    await self._wait()
        except TimeoutError:
            return []

    def room(self) -> int:
        return self.prefetch - len(self._unacked)

    def holds(self, message: Message) -> bool:
        return message.seq in self._unacked

    def finish(self, message: Message) -> None:
        """A delivery has ended and its message is dealt with."""
        if self._unacked.pop(message.seq, None) is not None and self._queue is not None:
            self._queue.wake()

    def give_back(self, messages: list[Message]) -> None:
        for message in messages:
            self._unacked.pop(message.seq, None)
        if self._queue is not None and self.bus.has(self._queue):
            self._queue.put_back(messages)

    def _take(self, limit: int) -> list[Delivery]:
        queue = self._queue
        if queue is None:
            raise QueueGone(f"the consumer of {self._name} is not open; use it with `async with`")
        self.bus.check_open()
        if not self.bus.has(queue):
            raise QueueGone(f"the queue {self._name} was deleted")
        if not queue.active(self):
            return []
        taken = queue.take(min(limit, self.room()), time.time())
        self._unacked.update((message.seq, message) for message in taken)
        return [EmbeddedDelivery(self, message) for message in taken]

    async def _wait(self) -> None:
        queue = self._queue
        assert queue is not None
        waiter = queue.wait(self)
        try:
            await waiter
        finally:
            queue.stop_waiting(waiter)
            # It may have been woken for a message that it cannot take any more: let the next one look.
            asyncio.get_running_loop().call_soon(queue.wake)
