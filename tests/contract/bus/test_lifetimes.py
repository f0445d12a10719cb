"""What ends by itself: messages with an expiry, queues without a consumer."""

import asyncio

import pytest

from studio9_common.bus import Queue, QueueGone, Unroutable


@pytest.mark.parametrize("transient", [True, False])
async def test_a_message_vanishes_after_its_expiry(bus, names, tools, transient):
    queue = names.spec(transient=transient)
    await bus.declare(queue)
    await bus.publish(names.message(b"short", expires_s=0.2, persistent=not transient))
    await bus.publish(names.message(b"long", expires_s=60, persistent=not transient))
    await bus.publish(names.message(b"ever", persistent=not transient))
    await asyncio.sleep(0.4)
    await tools.depth(bus, queue.name, 2)
    async with bus.consume(queue.name) as consumer:
        assert [d.body for d in await tools.take(consumer, 2)] == [b"long", b"ever"]
        assert await consumer.get(1, timeout_s=0.1) == []
    assert await tools.dead(bus, queue.name) == []


async def test_a_queue_gives_all_its_messages_a_lifetime(bus, names, tools):
    queue = names.spec(message_ttl_s=3)
    await bus.declare(queue)
    await bus.publish_many([names.message() for _ in range(3)])
    async with bus.consume(queue.name, prefetch=1) as consumer:
        (held,) = await tools.take(consumer, 1)
        await tools.depth(bus, queue.name, 0, within_s=15)
        await held.ack()  # in hand it does not expire
        assert await consumer.get(1, timeout_s=0.2) == []
    assert await tools.dead(bus, queue.name) == []


async def test_a_queue_without_consumer_expires(bus, names, tools):
    queue = Queue(names.queue(), (names.key(),), expires_s=3)
    await bus.declare(queue)
    async with bus.consume(queue.name) as consumer:
        await asyncio.sleep(3.5)
        await bus.publish(names.message())
        (delivery,) = await tools.take(consumer, 1)
        await delivery.ack()
    await bus.publish(names.message())

    async def gone() -> bool:
        try:
            await bus.publish(names.message())
        except Unroutable:
            return True
        return False

    await tools.until(gone, 20)
    with pytest.raises(QueueGone):
        await bus.depth(queue.name)
    await bus.declare(queue)
    assert await bus.depth(queue.name) == 0


async def test_declaring_an_expiring_queue_keeps_it(bus, names):
    queue = Queue(names.queue(), (names.key(),), expires_s=3)
    for _ in range(5):
        await bus.declare(queue)
        await asyncio.sleep(0.8)
        await bus.publish(names.message())
    assert await bus.depth(queue.name) == 5
