"""Publishing: routing, confirms, the unroutable, many at once, large bodies."""

import asyncio

import pytest

from studio9_common.bus import QueueGone, QueueMismatch, Unroutable, open_bus
from studio9_common.bus.port import BusUnavailable, Queue

PATTERNS = [
    ("a.b", "a.b", True),
    ("a.b", "a.b.c", False),
    ("a.*", "a.b", True),
    ("a.*", "a", False),
    ("a.*", "a.b.c", False),
    ("a.#", "a", True),
    ("a.#", "a.b.c", True),
    ("a.#.d", "a.d", True),
    ("a.#.d", "a.b.c.d", True),
    ("a.#.d", "a.b.c", False),
    ("a.*.#", "a", False),
    ("a.*.#.*", "a.b.c", True),
    ("#.c", "x.c", True),
    ("a..b", "a..b", True),
    ("a.*.b", "a..b", True),
]


async def test_routing_keys_match_as_topics(bus, names, tools):
    keys = sorted({key for _, key, _ in PATTERNS})
    queues = {}
    for index, (pattern, _, _) in enumerate(PATTERNS):
        queues[index] = Queue(names.queue(f"q{index}"), (names.key(pattern),), transient=True)
    await bus.declare(*queues.values())
    for key in keys:
        await bus.publish(names.message(key.encode(), key, mandatory=False, persistent=False))
    for index, (pattern, key, fits) in enumerate(PATTERNS):
        async with bus.consume(queues[index].name) as consumer:
            got: set[str] = set()
            while deliveries := await consumer.get(50, timeout_s=10 if fits and key not in got else 0.1):
                got |= {delivery.body.decode() for delivery in deliveries}
        assert (key in got) is fits, (pattern, key)


async def test_what_is_published_arrives_whole(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    body = bytes(range(256)) * 256
    assert len(body) == 64 * 1024
    await bus.publish(names.message(body, message_id="m-1", headers={"traceparent": "00-ab-cd-01", "ü": "ß"}))
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        assert delivery.body == body
        assert delivery.message_id == "m-1"
        assert delivery.routing_key == names.key()
        assert dict(delivery.headers) == {"traceparent": "00-ab-cd-01", "ü": "ß"}
        assert not delivery.redelivered
        assert delivery.failures == 0
        assert not delivery.ended
        await delivery.ack()
        assert delivery.ended
    await tools.depth(bus, queue.name, 0)


async def test_an_empty_body_arrives(bus, names, tools):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message(b""))
    async with bus.consume(queue.name) as consumer:
        assert (await tools.take(consumer, 1))[0].body == b""


async def test_every_bound_queue_gets_one_copy(bus, names):
    one, other = names.spec("one", "k", "*"), names.spec("other", "#")
    await bus.declare(one, other)
    await bus.publish(names.message())
    assert await bus.depth(one.name) == 1
    assert await bus.depth(other.name) == 1


async def test_the_unroutable_is_returned(bus, names):
    with pytest.raises(Unroutable, match=names.key("nobody")):
        await bus.publish(names.message(key="nobody"))
    await bus.publish(names.message(key="nobody", mandatory=False))


async def test_the_same_message_twice_in_flight_is_returned_twice(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    lost = names.message(key="nobody", message_id="same")
    kept = names.message(message_id="same")
    outcomes = await bus.publish_many([lost, kept, lost, kept])
    assert [isinstance(o, Unroutable) for o in outcomes] == [True, False, True, False]
    assert outcomes[1] is None and outcomes[3] is None
    assert await bus.depth(queue.name) == 2


async def test_many_are_published_with_one_answer_each(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    messages = [names.message(str(i).encode(), "k" if i % 3 else "nobody") for i in range(1500)]
    outcomes = await bus.publish_many(messages)
    assert all(isinstance(o, Unroutable) == (i % 3 == 0) for i, o in enumerate(outcomes))
    assert sum(o is None for o in outcomes) == 1000
    assert await bus.depth(queue.name) == 1000


async def test_the_same_messages_from_two_at_once_are_all_confirmed(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    messages = [names.message(str(i).encode()) for i in range(100)]
    both = await asyncio.gather(bus.publish_many(messages), bus.publish_many([*messages, *messages]))
    assert [outcome for outcomes in both for outcome in outcomes] == [None] * 300
    assert await bus.depth(queue.name) == 300


async def test_concurrent_publishers_are_all_confirmed(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    await asyncio.gather(*(bus.publish(names.message()) for _ in range(300)))
    assert await bus.depth(queue.name) == 300


async def test_declaring_again_is_harmless_and_adds_bindings(bus, names):
    queue = names.spec("q", "a")
    await bus.declare(queue, queue)
    await bus.publish(names.message(key="a"))
    await bus.declare(queue.with_bindings([names.key("b")]))
    await bus.publish(names.message(key="b"))
    await bus.publish(names.message(key="a"))
    assert await bus.depth(queue.name) == 3


async def test_former_bindings_are_taken_away_where_a_queue_is_declared_again(bus, names):
    await bus.declare(names.spec("q", "a", "b"))
    queue = Queue(names.queues[0], (names.key("a"),), former=(names.key("b"), names.key("never")))
    await bus.declare(queue, queue)
    await bus.publish(names.message(key="a"))
    with pytest.raises(Unroutable):
        await bus.publish(names.message(key="b"))
    await bus.declare(names.spec("q", "b"))
    await bus.publish(names.message(key="b"))
    assert await bus.depth(queue.name) == 2


async def test_other_arguments_need_another_name(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    with pytest.raises(QueueMismatch, match=queue.name):
        await bus.declare(Queue(queue.name, queue.bindings, message_ttl_s=5))
    await bus.publish(names.message())


async def test_a_queue_that_was_deleted_is_gone_and_can_be_declared_again(bus, names):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message())
    await bus.delete(queue.name)
    with pytest.raises(QueueGone):
        await bus.depth(queue.name)
    with pytest.raises(Unroutable):
        await bus.publish(names.message())
    with pytest.raises(QueueGone):
        async with bus.consume(queue.name):
            pass
    await bus.delete(queue.name)
    await bus.declare(queue)
    assert await bus.depth(queue.name) == 0
    await bus.publish(names.message())
    assert await bus.depth(queue.name) == 1


async def test_a_ping_says_whether_the_broker_can_be_reached(url):
    own = await open_bus(url, name="contract")
    await own.ping()
    await own.close()
    with pytest.raises(BusUnavailable):
        await own.ping()
