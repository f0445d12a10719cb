"""A node's connection to the simulated broker: the bus port."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

from studio9_cli.simulation.broker import Broker, Letter, Line, future
from studio9_common.bus.headers import rung
from studio9_common.bus.port import (
    FAILURE_LIMIT,
    BusUnavailable,
    DeadLetter,
    Delivery,
    Outgoing,
    Queue,
    QueueGone,
    Unroutable,
)
from studio9_common.errors import Studio9Error

_NO_HEADERS: Mapping[str, str] = {}


class SimDelivery:
    """See `studio9_common.bus.port.Delivery`."""

    __slots__ = ("_consumer", "_letter")

    def __init__(self, consumer: "SimConsumer", letter: Letter) -> None:
        self._consumer, self._letter = consumer, letter

    @property
    def body(self) -> bytes:
        return self._letter.message.body

    @property
    def message_id(self) -> str:
        return self._letter.message.message_id

    @property
    def routing_key(self) -> str:
        return self._letter.message.routing_key

    @property
    def headers(self) -> Mapping[str, str]:
        return _NO_HEADERS

    @property
    def redelivered(self) -> bool:
        return self._letter.redelivered

    @property
    def failures(self) -> int:
        return self._letter.failures

    @property
    def ended(self) -> bool:
        return id(self._letter) not in self._consumer.held

    async def ack(self) -> None:
        self._consumer.end(self._letter)

    async def retry(self, delay_s: float, *, reason: str) -> None:
        if self._consumer.end(self._letter):
            broker, line = self._consumer.broker, self._consumer.line
            again = Letter(self._letter.message, self._letter.expires, self._letter.failures + 1)
            if again.failures >= FAILURE_LIMIT:
                broker.forget(line.spec.name, again, reason)
            else:
                broker.loop.after(rung(delay_s), broker.put, line, again)

    async def release(self) -> None:
        if self._consumer.end(self._letter):
            self._letter.redelivered = True
            self._consumer.line.ready.appendleft(self._letter)
            self._consumer.broker.push(self._consumer.line)

    async def dead_letter(self, reason: str) -> None:
        if self._consumer.end(self._letter):
            self._consumer.broker.forget(self._consumer.line.spec.name, self._letter, reason)


class SimConsumer:
    """See `studio9_common.bus.port.Consumer`. `held` is what is not acknowledged, `buffer` the part not yet taken."""

    def __init__(self, bus: "SimBus", name: str, prefetch: int) -> None:
        self.bus, self.broker, self.node = bus, bus.broker, bus.node
        self.held: dict[int, Letter] = {}
        self.buffer: deque[Letter] = deque()
        self._name, self._prefetch = name, prefetch
        self._waiter: asyncio.Future[None] | None = None
        self._broken = self._gone = False
        self.line: Line = Line(Queue(name))

    async def __aenter__(self) -> Self:
        await self.bus.hop()
        line = self.broker.lines.get(self._name)
        if line is None:
            raise QueueGone(f"there is no queue {self._name}")
        self.line = line
        line.consumers.append(self)
        self.broker.push(line)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.bus.closed:
            self.broker.leave(self.line, self)

    async def get(self, limit: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        if timeout_s is None:
            while not (found := self._taken(limit)):
                await self._wait()
            return found
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := self._taken(limit)):
                    await self._wait()
                return found
        except TimeoutError:
            return []

    def _taken(self, limit: int) -> list[Delivery]:
        if self._broken:
            raise BusUnavailable
        if self._gone:
            raise QueueGone(f"the queue {self._name} was deleted")
        taken = list(islice(self.buffer, limit))
        for _ in taken:
            self.buffer.popleft()
        return [SimDelivery(self, letter) for letter in taken]

    async def _wait(self) -> None:
        self._waiter = future(self.broker.loop)
        await self._waiter

    # --- what the broker does --------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        return 0 if self._broken else self._prefetch - len(self.held)

    def take(self, letter: Letter) -> None:
        self.held[id(letter)] = letter
        self.buffer.append(letter)
        self._wake()

    def fail(self, *, gone: bool = False) -> None:
        """The connection is lost, or the queue is gone."""
        if gone:
            self._gone = True
            self.held.clear()
            self.buffer.clear()
        else:
            self._broken = True
        self._wake()

    def end(self, letter: Letter) -> bool:
        """Whether the letter was still this consumer's to end."""
        if self.bus.closed or self._broken or self.held.pop(id(letter), None) is None:
            return False
        self.broker.push(self.line)
        return True

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class SimBus:
    """See `studio9_common.bus.port.Bus`. `closed` once its process is dead."""

    def __init__(self, broker: Broker, node: str, rng: random.Random) -> None:
        self.broker, self.node, self.closed = broker, node, False
        self._rng = rng

    async def hop(self) -> None:
        """One round trip. Raises BusUnavailable."""
        loop = self.broker.loop
        reached = self.broker.weather.reaches(self.node, "bus")
        waiter = future(loop)
        loop.after(self._rng.uniform(0.001, 0.006) if reached else self._rng.uniform(0.01, 3.0), _set, waiter)
        await waiter
        if not reached or not self.broker.weather.reaches(self.node, "bus"):
            raise BusUnavailable

    async def declare(self, *queues: Queue) -> None:
        await self.hop()
        for queue in queues:
            self.broker.declare(queue)

    async def publish(self, message: Outgoing) -> None:
        outcome = (await self.publish_many([message]))[0]
        if outcome is not None:
            raise outcome

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        if not messages:
            return []
        loop, weather, rng = self.broker.loop, self.broker.weather, self._rng
        if not weather.reaches(self.node, "bus") or (weather.full_disks and weather.full("bus")):
            waiter = future(loop)
            loop.after(rng.uniform(0.01, 5.0), _set, waiter)
            await waiter
            raise BusUnavailable
        answer: asyncio.Future[list[Studio9Error | None]] = loop.create_future()
        loop.after(rng.uniform(0.001, 0.006), self._arrive, messages, answer)
        return await answer

    def _arrive(self, messages: Sequence[Outgoing], answer: "asyncio.Future[list[Studio9Error | None]]") -> None:
        outcomes = [self._one(message) for message in messages]
        if not answer.done():
            answer.set_result(outcomes)

    def _one(self, message: Outgoing) -> Studio9Error | None:
        weather, rng = self.broker.weather, self._rng
        if not weather.reaches(self.node, "bus"):
            return BusUnavailable()
        if weather.loss_before_confirm and weather.strikes("loss_before_confirm", rng):
            return BusUnavailable()
        routed = self.broker.route(message)
        if weather.confirm_lost and weather.strikes("confirm_lost", rng):
            return BusUnavailable()
        return None if routed or not message.mandatory else Unroutable()

    def consume(self, queue: str, *, prefetch: int = 64) -> SimConsumer:
        return SimConsumer(self, queue, prefetch)

    async def delete(self, queue: str) -> None:
        await self.hop()
        self.broker.delete(queue)

    async def depth(self, queue: str) -> int:
        await self.hop()
        line = self.broker.lines.get(queue)
        if line is None:
            raise QueueGone(f"there is no queue {queue}")
        return len(line.ready)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return []

    async def replay(self, dead_letter_id: str) -> bool:
        return False

    async def drop(self, dead_letter_id: str) -> bool:
        return False

    async def ping(self) -> None:
        await self.hop()

    async def close(self) -> None:
        return None


def _set(waiter: "asyncio.Future[Any]") -> None:
    if not waiter.done():
        waiter.set_result(None)
