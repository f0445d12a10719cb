"""Consuming: prefetch, redelivery, single active consumer, deleted queues, nothing lost."""

import asyncio
import contextlib

import pytest

from studio9_common.bus import Queue, QueueGone


async def test_get_waits_and_gives_up(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    loop = asyncio.get_running_loop()
    async with bus.consume(queue.name) as consumer:
        before = loop.time()
        assert await consumer.get(5, timeout_s=0.1) == []
        assert 0.09 < loop.time() - before < 2
        waiting = asyncio.create_task(consumer.get(5))
        await asyncio.sleep(0.01)
        await bus.publish(names.message(b"late"))
        (delivery,) = await asyncio.wait_for(waiting, 5)
        assert delivery.body == b"late"
        await delivery.ack()


async def test_messages_come_in_the_order_of_publishing(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    for part in range(5):
        await bus.publish_many([names.message(b"%d" % (part * 100 + i)) for i in range(100)])
    async with bus.consume(queue.name, prefetch=30) as consumer:
        got = []
        while len(got) < 500:
            for delivery in await tools.take(consumer, 1):
                got.append(int(delivery.body))
                await delivery.ack()
    assert got == list(range(500))


async def test_no_more_than_the_prefetch_is_given(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message() for _ in range(20)])
    async with bus.consume(queue.name, prefetch=5) as consumer:
        held = await tools.take(consumer, 5)
        assert await consumer.get(5, timeout_s=0.1) == []
        await held[0].ack()
        await held[1].ack()
        assert len(await tools.take(consumer, 2)) == 2
        assert await consumer.get(5, timeout_s=0.1) == []
    await tools.depth(bus, queue.name, 18)


async def test_what_was_not_ended_comes_again_marked_redelivered(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(4)])
    async with bus.consume(queue.name) as consumer:
        held = await tools.take(consumer, 4)
        await held[1].ack()
    for delivery in held:
        assert delivery.ended
        await delivery.ack()  # too late to have an effect
        await delivery.retry(1, reason="too late")
        await delivery.dead_letter("too late")
    async with bus.consume(queue.name) as consumer:
        again = await tools.take(consumer, 3)
        assert sorted(d.body for d in again) == [b"0", b"2", b"3"]
        assert all(d.redelivered for d in again)
        assert all(d.failures == 0 for d in again)
        assert await consumer.get(1, timeout_s=0.1) == []
        for delivery in again:
            await delivery.ack()
    await tools.depth(bus, queue.name, 0)
    assert await tools.dead(bus, queue.name) == []


async def test_another_consumer_gets_what_one_lost(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    async with bus.consume(queue.name, prefetch=10) as stays:
        async with bus.consume(queue.name, prefetch=10) as goes:
            await bus.publish_many([names.message() for _ in range(20)])
            assert len(await tools.take(goes, 10)) == 10
            held = await tools.take(stays, 10)
        for delivery in held:
            await delivery.ack()
        again = await tools.take(stays, 10)
        assert all(d.redelivered for d in again)


async def test_a_cancelled_get_loses_nothing(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    got = 0
    async with bus.consume(queue.name) as consumer:
        for _ in range(30):
            waiting = asyncio.create_task(consumer.get())
            publishing = asyncio.create_task(bus.publish(names.message()))
            await asyncio.sleep(0.0005)
            waiting.cancel()
            await publishing
            with contextlib.suppress(asyncio.CancelledError):
                got += len(await waiting)
        while got < 30:
            got += len(await tools.take(consumer, 1))
        assert got == 30


async def test_one_single_active_consumer_receives_and_the_next_takes_over(bus, names, tools):
    queue = names.spec(single_active=True)
    await bus.declare(queue)
    first = bus.consume(queue.name)
    await first.__aenter__()
    async with bus.consume(queue.name) as second:
        await bus.publish_many([names.message() for _ in range(3)])
        held = await tools.take(first, 2)
        await held[0].ack()
        assert await second.get(1, timeout_s=0.2) == []
        await first.__aexit__(None, None, None)
        rest = await tools.take(second, 2)
        assert rest[0].redelivered
        for delivery in rest:
            await delivery.ack()
    await tools.depth(bus, queue.name, 0)


async def test_a_consumer_learns_that_its_queue_was_deleted(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    async with bus.consume(queue.name) as consumer:
        await bus.publish(names.message())
        (held,) = await tools.take(consumer, 1)
        waiting = asyncio.create_task(consumer.get())
        await asyncio.sleep(0.01)
        await bus.delete(queue.name)
        with pytest.raises(QueueGone):
            await asyncio.wait_for(waiting, 5)
        assert held.body == b"{}"
    await bus.declare(queue)
    assert await bus.depth(queue.name) == 0


async def test_every_queue_deleted_and_declared_again_in_mid_run(bus, names, tools):
    queues = [names.spec(f"q{i}", f"k{i}") for i in range(3)]
    await bus.declare(*queues)
    for round_ in range(3):
        for i, queue in enumerate(queues):
            await bus.publish(names.message(b"%d" % round_, f"k{i}"))
            async with bus.consume(queue.name) as consumer:
                (delivery,) = await tools.take(consumer, 1)
                assert delivery.body == b"%d" % round_
                await delivery.ack()
        for queue in queues:
            await bus.delete(queue.name)
        await bus.declare(*queues)


async def test_ten_thousand_messages_and_none_is_lost(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    total = 10_000
    seen: set[int] = set()

    async def publish(start: int) -> None:
        for chunk in range(start, start + total // 4, 250):
            outcomes = await bus.publish_many([names.message(b"%d" % i) for i in range(chunk, chunk + 250)])
            assert outcomes == [None] * 250

    async def consume() -> None:
        async with bus.consume(queue.name, prefetch=200) as consumer:
            while len(seen) < total:
                for delivery in await consumer.get(100, timeout_s=0.2):
                    seen.add(int(delivery.body))
                    await delivery.ack()

    async with asyncio.timeout(60):
        await asyncio.gather(consume(), consume(), *(publish(i * total // 4) for i in range(4)))
    assert seen == set(range(total))
    await tools.depth(bus, queue.name, 0)


async def test_a_consumer_slower_than_its_publisher_gets_all(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    async with bus.consume(queue.name, prefetch=3) as consumer:
        await bus.publish_many([names.message(b"%d" % i) for i in range(200)])
        got = []
        while len(got) < 200:
            deliveries = await tools.take(consumer, 1)
            await bus.publish(names.message(b"more")) if len(got) < 50 else None
            got += [d.body for d in deliveries]
            for delivery in deliveries:
                await delivery.ack()
    assert got == [b"%d" % i for i in range(200)]
    await tools.depth(bus, queue.name, 50)


@pytest.mark.parametrize("persistent", [True, False])
async def test_transient_queues_carry_messages(bus, names, tools, persistent):
    queue = Queue(names.queue(), (names.key(),), transient=True)
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i, persistent=persistent) for i in range(50)])
    async with bus.consume(queue.name, prefetch=10) as consumer:
        for i in range(50):
            (delivery,) = await tools.take(consumer, 1)
            assert delivery.body == b"%d" % i
            await delivery.ack()
    await tools.depth(bus, queue.name, 0)
