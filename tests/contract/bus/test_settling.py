"""How a delivery ends: acknowledged, retried over the ladder, released, given up; and what becomes of dead letters."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from studio9_common.bus import FAILURE_LIMIT, QueueGone
from studio9_common.bus.headers import FAILURES, rung


async def test_only_the_first_end_counts(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message())
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        await delivery.ack()
        await delivery.ack()
        await delivery.release()
        await delivery.retry(1, reason="no")
        await delivery.dead_letter("no")
        assert await consumer.get(1, timeout_s=0.1) == []
    await tools.depth(bus, queue.name, 0)
    assert await tools.dead(bus, queue.name) == []


async def test_acks_out_of_order_end_just_their_own(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(10)])
    async with bus.consume(queue.name) as consumer:
        held = await tools.take(consumer, 10)
        for i in (7, 0, 1, 5):
            await held[i].ack()
        await held[2].release()
        await held[3].ack()
        (again,) = await tools.take(consumer, 1)
        assert again.body == b"2" and again.redelivered
    async with bus.consume(queue.name) as consumer:
        left = await tools.take(consumer, 5)
        assert sorted(d.body for d in left) == [b"2", b"4", b"6", b"8", b"9"]
        for delivery in left:
            await delivery.ack()
    await tools.depth(bus, queue.name, 0)


async def test_release_gives_back_at_once_without_counting(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message())
    async with bus.consume(queue.name) as consumer:
        for attempt in range(30):
            (delivery,) = await tools.take(consumer, 1)
            assert delivery.redelivered is (attempt > 0)
            assert delivery.failures == 0
            await delivery.release()
    await tools.depth(bus, queue.name, 1)


def test_delays_are_rounded_to_rungs():
    assert [rung(s) for s in (0, 0.5, 1, 1.1, 5, 6, 30, 31, 300, 9999)] == [1, 1, 1, 5, 5, 30, 30, 300, 300, 300]


async def test_retry_counts_and_delivers_again_after_the_delay(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message(b"x", message_id="m-7", headers={"a": "b"}))
    loop = asyncio.get_running_loop()
    async with bus.consume(queue.name) as consumer:
        retried = loop.time() - 1
        for attempt in range(3):
            (delivery,) = await tools.take(consumer, 1)
            assert 0.9 < loop.time() - retried < 4
            assert delivery.failures == attempt
            assert (delivery.message_id, delivery.routing_key) == ("m-7", names.key())
            assert dict(delivery.headers) == {"a": "b"}
            await delivery.retry(0.5, reason="try again")
            assert delivery.ended
            retried = loop.time()
    assert await tools.dead(bus, queue.name) == []


async def test_a_delayed_message_holds_up_no_other(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"slow"), names.message(b"quick")])
    async with bus.consume(queue.name) as consumer:
        slow, quick = await tools.take(consumer, 2)
        await slow.retry(5, reason="later")
        await asyncio.sleep(0.05)
        await quick.retry(1, reason="soon")  # behind the other one, on a lower rung
        await bus.publish(names.message(b"new"))
        order = []
        times = []
        loop = asyncio.get_running_loop()
        start = loop.time()
        while len(order) < 3:
            (delivery,) = await tools.take(consumer, 1)
            order.append(delivery.body)
            times.append(loop.time() - start)
            await delivery.ack()
    assert order == [b"new", b"quick", b"slow"]
    assert times[0] < 0.7 < times[1] < 4 < times[2]


async def test_retries_come_back_amid_new_messages(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    published = 0
    done: set[bytes] = set()

    async def publish() -> None:
        nonlocal published
        loop = asyncio.get_running_loop()
        start = loop.time()
        while loop.time() - start < 2.5:
            await bus.publish(names.message(b"%d" % published))
            published += 1

    async def consume() -> None:
        async with bus.consume(queue.name) as consumer:
            while len(done) < published or not publishing.done():
                for delivery in await consumer.get(16, timeout_s=0.5):
                    if delivery.failures == 0 and int(delivery.body) % 5 == 0:
                        await delivery.retry(1, reason="once")
                    else:
                        done.add(delivery.body)
                        await delivery.ack()

    publishing = asyncio.create_task(publish())
    async with asyncio.timeout(30):
        await asyncio.gather(publishing, consume())
    assert done == {b"%d" % i for i in range(published)}
    await tools.depth(bus, queue.name, 0)


async def test_a_transient_message_can_be_retried(bus, names, tools):
    queue = names.spec(transient=True)
    await bus.declare(queue)
    await bus.publish(names.message(b"x", persistent=False))
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        await delivery.retry(1, reason="again")
        (delivery,) = await tools.take(consumer, 1)
        assert delivery.failures == 1
        await delivery.dead_letter("enough")
    (letter,) = await tools.dead(bus, queue.name)
    assert letter.reason == "enough"


async def test_at_the_failure_limit_it_is_dead_lettered_and_can_be_replayed(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    headers = {"traceparent": "t", FAILURES: str(FAILURE_LIMIT - 1)}
    await bus.publish(names.message(b"poison", message_id="m-9", headers=headers))
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        assert delivery.failures == FAILURE_LIMIT - 1
        await delivery.retry(1, reason="KeyError: album")
        assert await consumer.get(1, timeout_s=1.3) == []

        (letter,) = await tools.dead(bus, queue.name)
        assert letter.reason == f"failed {FAILURE_LIMIT} times, the last time: KeyError: album"
        assert (letter.body, letter.message_id, letter.routing_key) == (b"poison", "m-9", names.key())
        assert dict(letter.headers) == {"traceparent": "t"}

        assert await bus.replay(letter.id)
        (delivery,) = await tools.take(consumer, 1)
        assert delivery.failures == 0
        assert (delivery.body, delivery.message_id, delivery.routing_key) == (b"poison", "m-9", names.key())
        assert dict(delivery.headers) == {"traceparent": "t"}
        await delivery.ack()
    assert await tools.dead(bus, queue.name) == []
    assert not await bus.replay(letter.id)


async def test_dead_letters_are_listed_replayed_and_dropped_one_by_one(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(6)])
    async with bus.consume(queue.name) as consumer:
        for delivery in await tools.take(consumer, 6):
            await delivery.dead_letter(f"reason {delivery.body.decode()}")
    letters = {letter.body: letter for letter in await tools.dead(bus, queue.name)}
    assert {letter.reason for letter in letters.values()} == {f"reason {i}" for i in range(6)}
    assert len(await bus.dead_letters(2)) == 2

    assert await bus.drop(letters[b"3"].id)
    assert not await bus.drop(letters[b"3"].id)
    assert await bus.replay(letters[b"1"].id)
    assert not await bus.replay(letters[b"3"].id)
    assert not await bus.replay("no-such-id")
    assert sorted(letter.body for letter in await tools.dead(bus, queue.name)) == [b"0", b"2", b"4", b"5"]
    await tools.depth(bus, queue.name, 1)


async def test_looking_at_dead_letters_loses_none(bus, names, tools):
    """Looked at more often than a broker delivers a message by default."""
    queue = names.spec()
    await bus.declare(queue)
    before = datetime.now(UTC) - timedelta(seconds=1)
    await bus.publish(names.message(b"1", message_id="m-1"))
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        await delivery.dead_letter("unreadable")
    for _ in range(25):
        (letter,) = await tools.dead(bus, queue.name)
    assert (letter.message_id, letter.reason) == ("m-1", "unreadable")
    assert letter.died_at is not None and before <= letter.died_at <= datetime.now(UTC)
    assert await bus.replay(letter.id)
    async with bus.consume(queue.name) as consumer:
        (again,) = await tools.take(consumer, 1)
        assert (again.message_id, again.body, again.failures) == ("m-1", b"1", 0)
        await again.ack()


async def test_a_dead_letter_stays_while_its_queue_is_gone(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message())
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        await delivery.dead_letter("x" * 5000)
    await bus.delete(queue.name)
    (letter,) = await tools.dead(bus, queue.name)
    assert letter.reason == "x" * 1000
    with pytest.raises(QueueGone):
        await bus.replay(letter.id)
    await bus.declare(queue)
    assert await bus.replay(letter.id)
    await tools.depth(bus, queue.name, 1)


async def test_two_readers_of_dead_letters_do_not_disturb_each_other(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(8)])
    async with bus.consume(queue.name) as consumer:
        for delivery in await tools.take(consumer, 8):
            await delivery.dead_letter("dead")
    letters = await tools.dead(bus, queue.name)
    dropped = await asyncio.gather(*(bus.drop(letter.id) for letter in letters[:4]), tools.dead(bus, queue.name))
    assert dropped[:4] == [True] * 4
    assert len(await tools.dead(bus, queue.name)) == 4
