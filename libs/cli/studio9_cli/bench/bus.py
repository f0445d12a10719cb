"""The bus on RabbitMQ: confirmed publish and consume through the port, against bare aio-pika on the same broker.

One quorum queue, 1 KB messages, 200 in flight. Our arms make and read the typed envelope of every message; the bare
arms send one ready body over and over, and do not look into what they receive.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from studio9_cli.bench import Arm, Bench, Figure
from studio9_common.bus import Bus, Outgoing, Queue, open_bus
from studio9_common.bus.rabbitmq.topology import EXCHANGE
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Input, ObjectRef, Spec
from studio9_common.contracts.messages import JobRequested
from studio9_common.ids import new_id

NEEDS = ("rabbitmq",)
IN_FLIGHT = 200
AT_ONCE = 64
"""Deliveries that our consumer takes at a time."""
FILL, QUICK_FILL = 20_000, 2_000
"""Messages in the queue before a consuming arm empties it, again and again until its time is over."""

RUN = new_id()
SPEC = Spec(
    kind="train",
    parameters={"epochs": 30, "learning_rate": 0.01, "image_size": 640},
    inputs=(Input(name="train", kind="pictures", ref=ObjectRef(key="acme/datasets/d/m", sha256="a" * 64, size=1)),),
)


class Requested(JobRequested):
    """A job request that only the bench's queue takes."""

    routing_key: ClassVar[str] = f"bench.{RUN}"


QUEUE = Queue(f"bench.{RUN}.v1", (Requested.routing_key,))


def message() -> Outgoing:
    """A job request in its envelope, 1 KB."""
    data = Requested(job=new_id(), owner=RUN, spec=SPEC)
    return encode(data, source="bench", organisation=RUN, mandatory=True)


async def run(bench: Bench) -> list[Figure]:
    """Both figures, on one broker."""
    url = bench.address("STUDIO9_TEST_RABBITMQ_URL")
    bus = await open_bus(url, name="bench")
    await bus.declare(QUEUE)
    connection = await aio_pika.connect(url)
    bare = Bare(connection)
    fill = QUICK_FILL if bench.quick else FILL
    try:
        published = await bench.paired(
            "publish_vs_aio_pika_ratio",
            "messages/s",
            _publishing(lambda: bus.publish(message()), bare),
            _publishing(await bare.publisher(), bare),
            against="aio-pika",
            goal=0.8,
        )
        consumed = await bench.paired(
            "consume_vs_aio_pika_ratio",
            "messages/s",
            _emptying(bus, fill, lambda count: _consume(bus, count)),
            _emptying(bus, fill, bare.consume),
            against="aio-pika",
            goal=0.85,
        )
        return [published, consumed]
    finally:
        await bus.delete(QUEUE.name)
        await connection.close()
        await bus.close()


class Bare:
    """What one writes with aio-pika alone."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection) -> None:
        self._connection = connection

    async def publisher(self) -> Callable[[], Awaitable[object]]:
        """Publishes one message and awaits its confirm."""
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        body = message().body

        def publish() -> Awaitable[object]:
            ready = aio_pika.Message(
                body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, content_type="application/json"
            )
            return exchange.publish(ready, Requested.routing_key)

        return publish

    async def consume(self, count: int) -> None:
        """Takes and acknowledges so many messages."""
        done = asyncio.Event()
        left = count

        async def handle(received: AbstractIncomingMessage) -> None:
            nonlocal left
            await received.ack()
            left -= 1
            if left == 0:
                done.set()

        async with self._connection.channel() as channel:
            await channel.set_qos(IN_FLIGHT)
            queue = await channel.get_queue(QUEUE.name, ensure=False)
            await queue.consume(handle)
            await done.wait()

    async def purge(self) -> None:
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(QUEUE.name, ensure=False)
            await queue.purge()


async def _consume(bus: Bus, count: int) -> None:
    left = count
    async with bus.consume(QUEUE.name, prefetch=IN_FLIGHT) as consumer:
        while left:
            for delivery in await consumer.get(AT_ONCE):
                decode(delivery.body)
                await delivery.ack()
                left -= 1


def _publishing(publish: Callable[[], Awaitable[object]], bare: Bare) -> Arm:
    """An arm of publishers that each go on as soon as their message is confirmed. The queue is emptied afterwards."""

    async def arm(seconds: float) -> float:
        started = time.perf_counter()
        done = 0

        async def go_on() -> None:
            nonlocal done
            while time.perf_counter() - started < seconds:
                await publish()
                done += 1

        await asyncio.gather(*(go_on() for _ in range(IN_FLIGHT)))
        found = done / (time.perf_counter() - started)
        await bare.purge()
        return found

    return arm


def _emptying(bus: Bus, fill: int, consume: Callable[[int], Awaitable[None]]) -> Arm:
    """An arm that empties a full queue until it was busy with that for so long; filling it is not measured."""

    async def arm(seconds: float) -> float:
        done, busy = 0, 0.0
        while busy < seconds:
            outcomes = await bus.publish_many([message() for _ in range(fill)])
            assert not any(outcomes)
            started = time.perf_counter()
            await consume(fill)
            busy += time.perf_counter() - started
            done += fill
        return done / busy

    return arm
