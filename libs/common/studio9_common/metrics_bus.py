"""The bus as one service uses it, measured: what it publishes, how long confirms take, what its queues deliver."""

import time
from collections.abc import Callable, Iterable, Sequence

from studio9_common.bus.port import Bus, Consumer, DeadLetter, Outgoing, Queue, Unroutable
from studio9_common.bus.subscriber import Subscriber
from studio9_common.errors import Studio9Error
from studio9_common.metrics import Metrics, Sample


class MeasuredBus:
    """Hands everything on to another bus; see `studio9_common.bus.port.Bus`. It closes nothing but that bus."""

    def __init__(self, bus: Bus, metrics: Metrics) -> None:
        self._bus = bus
        self._published = metrics.counter(
            "studio9_bus_published_total",
            "Messages given to the bus, by the first two words of their routing key and what came of it.",
            ("message", "outcome"),
        )
        self._confirm = metrics.histogram(
            "studio9_bus_confirm_seconds", "From publishing a message, or several together, to the last confirm."
        )

    async def declare(self, *queues: Queue) -> None:
        await self._bus.declare(*queues)

    async def publish(self, message: Outgoing) -> None:
        began, outcome = time.perf_counter(), "failed"
        try:
            await self._bus.publish(message)
            outcome = "confirmed"
        except Unroutable:
            outcome = "unroutable"
            raise
        finally:
            self._confirm.observe(time.perf_counter() - began)
            self._published.labels(_kind(message.routing_key), outcome).inc()

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        began = time.perf_counter()
        outcomes = await self._bus.publish_many(messages)
        self._confirm.observe(time.perf_counter() - began)
        for message, outcome in zip(messages, outcomes, strict=True):
            self._published.labels(_kind(message.routing_key), _outcome(outcome)).inc()
        return outcomes

    def consume(self, queue: str, *, prefetch: int = 64) -> Consumer:
        return self._bus.consume(queue, prefetch=prefetch)

    async def delete(self, queue: str) -> None:
        await self._bus.delete(queue)

    async def depth(self, queue: str) -> int:
        return await self._bus.depth(queue)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return await self._bus.dead_letters(limit)

    async def replay(self, dead_letter_id: str) -> bool:
        return await self._bus.replay(dead_letter_id)

    async def drop(self, dead_letter_id: str) -> bool:
        return await self._bus.drop(dead_letter_id)

    async def ping(self) -> None:
        await self._bus.ping()

    async def close(self) -> None:
        await self._bus.close()


def measure_queues(metrics: Metrics, subscribers: Callable[[], Iterable[Subscriber]]) -> None:
    """What became of the messages of a service's queues."""

    def outcomes() -> Iterable[Sample]:
        for one in subscribers():
            name, counters = _queue(one.queue.name), one.counters
            yield (name, "handled"), counters.handled
            yield (name, "retried"), counters.retried
            yield (name, "dead_lettered"), counters.dead_lettered

    metrics.read_counter("studio9_bus_deliveries_total", "Messages taken from queues.", ("queue", "outcome"), outcomes)
    metrics.read_counter(
        "studio9_bus_pauses_total",
        "Times that a queue was left for a while, because the broker or a dependency was away.",
        ("queue",),
        lambda: [((_queue(one.queue.name),), one.counters.pauses) for one in subscribers()],
    )


def _kind(routing_key: str) -> str:
    """A message to one worker has its id as the last word; that is no label."""
    return ".".join(routing_key.split(".")[:2])


def _queue(name: str) -> str:
    """A worker's own queue has its id in the middle."""
    return "worker" if name.startswith("worker.") else name


def _outcome(error: Studio9Error | None) -> str:
    if error is None:
        return "confirmed"
    return "unroutable" if isinstance(error, Unroutable) else "failed"
