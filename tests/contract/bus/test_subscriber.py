"""The consumer loop of every service: what a handler's outcome means."""

import asyncio

import pytest

from studio9_common.bus import FAILURE_LIMIT, BadMessage, Queue, Subscriber, each
from studio9_common.bus import subscriber as subscriber_module
from studio9_common.bus.headers import FAILURES
from studio9_common.errors import Unavailable


class Recorder:
    """A handler that does what `plan` says about a body, and remembers."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.plan: dict[bytes, list[Exception]] = {}
        self.changed = asyncio.Event()

    async def __call__(self, deliveries) -> None:
        self.batches.append([d.body for d in deliveries])
        self.changed.set()
        for delivery in deliveries:
            if outcomes := self.plan.get(delivery.body):
                raise outcomes.pop(0)

    def count(self, body: bytes) -> int:
        return sum(batch.count(body) for batch in self.batches)

    async def seen(self, body: bytes, times: int = 1, within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while self.count(body) < times:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def subscribe(bus):
    started: list[Subscriber] = []

    async def start(queue, handler, **options) -> Subscriber:
        subscriber = Subscriber(bus, queue, handler, **options)
        started.append(subscriber)
        await subscriber.start()
        return subscriber

    yield start
    for subscriber in started:
        await subscriber.stop()


async def test_messages_are_handled_in_batches_and_acknowledged(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(100)])
    subscriber = await subscribe(queue, recorder, batch=20)
    await recorder.seen(b"99")
    await tools.depth(bus, queue.name, 0)
    assert [body for batch in recorder.batches for body in batch] == [b"%d" % i for i in range(100)]
    assert max(map(len, recorder.batches)) <= 20
    assert max(map(len, recorder.batches)) > 1
    await subscriber.stop()
    assert subscriber.counters.handled == 100
    await tools.depth(bus, queue.name, 0)
    assert not subscriber.healthy


async def test_start_declares_so_that_nothing_published_afterwards_is_lost(bus, names, recorder, subscribe):
    queue = names.spec()
    subscriber = await subscribe(queue, recorder)
    await bus.publish(names.message(b"first"))
    await recorder.seen(b"first")
    assert subscriber.healthy


async def test_one_bad_message_fails_alone(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b) for b in (b"a", b"b", b"c", b"d")])
    recorder.plan = {b"c": [KeyError("x"), KeyError("x")]}  # once in the batch, once alone
    subscriber = await subscribe(queue, recorder, batch=10)
    await recorder.seen(b"c", 3)  # again, over the ladder
    await tools.depth(bus, queue.name, 0)
    await subscriber.stop()
    assert subscriber.counters.handled == 4
    assert subscriber.counters.retried == 1
    assert await tools.dead(bus, queue.name) == []


async def test_each_does_not_repeat_what_was_handled(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b) for b in (b"a", b"b", b"c", b"d")])
    recorder.plan = {b"c": [KeyError("x")]}

    async def one(delivery) -> None:
        await recorder([delivery])

    subscriber = await subscribe(queue, each(one), batch=10)
    await recorder.seen(b"d")
    await tools.depth(bus, queue.name, 0)
    assert [recorder.count(b) for b in (b"a", b"b", b"c", b"d")] == [1, 1, 2, 1]
    await tools.until(lambda: _equal(lambda: subscriber.counters.handled, 4))


async def _equal(read, value) -> bool:
    return read() == value


async def test_an_unreadable_message_is_given_up_at_once(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    await bus.declare(queue)
    reported: list[tuple[bytes, str]] = []

    async def report(delivery, reason) -> None:
        reported.append((delivery.body, reason))

    recorder.plan = {b"rubbish": [BadMessage("not JSON"), BadMessage("not JSON")]}
    subscriber = await subscribe(queue, recorder, batch=5, on_dead_letter=report)
    await bus.publish_many([names.message(b"rubbish"), names.message(b"good")])
    await recorder.seen(b"good")
    await tools.until(lambda: _equal(lambda: subscriber.counters.dead_lettered, 1))
    assert reported == [(b"rubbish", "BadMessage: not JSON")]
    (letter,) = await tools.dead(bus, queue.name)
    assert letter.reason == "BadMessage: not JSON"


async def test_at_the_limit_it_is_reported_and_given_up(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    reported: list[str] = []

    async def report(delivery, reason) -> None:
        reported.append(reason)
        raise RuntimeError("the report itself may fail")

    recorder.plan = {b"poison": [KeyError("album")]}
    subscriber = await subscribe(queue, recorder, on_dead_letter=report)
    await bus.publish(names.message(b"poison", headers={FAILURES: str(FAILURE_LIMIT - 1)}))
    await tools.until(lambda: _equal(lambda: subscriber.counters.dead_lettered, 1))
    assert reported == ["KeyError: 'album'"]
    (letter,) = await tools.dead(bus, queue.name)
    assert letter.reason == f"failed {FAILURE_LIMIT} times, the last time: KeyError: 'album'"
    assert await bus.replay(letter.id)
    await recorder.seen(b"poison", 2)


async def test_a_dependency_that_is_down_stops_consuming_and_counts_nothing(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(50)])
    down = True
    given: list[int] = []

    async def handle(deliveries) -> None:
        given.append(len(deliveries))
        assert {d.failures for d in deliveries} == {0}
        if down:
            raise Unavailable("the store is down")
        await recorder(deliveries)

    subscriber = await subscribe(queue, handle, batch=10)
    await tools.until(lambda: _equal(lambda: subscriber.counters.pauses, 3))
    assert not subscriber.healthy
    assert given[1:] == [1, 1]  # after the first batch, single messages try whether it is back
    down = False
    await tools.until(lambda: _equal(lambda: subscriber.counters.handled, 50))
    assert subscriber.healthy
    assert max(given[3:]) > 1  # and once one has succeeded, they come in batches again
    assert sorted(body for batch in recorder.batches for body in batch) == sorted(b"%d" % i for i in range(50))
    assert subscriber.counters.retried == 0
    assert await tools.dead(bus, queue.name) == []
    await tools.depth(bus, queue.name, 0)


async def test_after_an_outage_an_empty_queue_is_healthy_again(bus, names, tools, recorder, subscribe, monkeypatch):
    monkeypatch.setattr(subscriber_module, "PROBE_S", 0.2)
    queue = names.spec(message_ttl_s=1)
    recorder.plan = {b"x": [Unavailable()] * 100}
    subscriber = await subscribe(queue, recorder)
    await bus.publish(names.message(b"x"))
    await recorder.seen(b"x", 2)

    async def healthy() -> bool:
        return subscriber.healthy

    await tools.until(healthy)


async def test_a_deleted_queue_is_declared_again(bus, names, tools, recorder, subscribe):
    queue = names.spec()
    subscriber = await subscribe(queue, recorder)
    for round_ in range(2):
        await bus.publish(names.message(b"%d" % round_))
        await recorder.seen(b"%d" % round_)
        await bus.delete(queue.name)

        async def back() -> bool:
            return subscriber.healthy and not isinstance((await bus.publish_many([names.message(b"-")]))[0], Exception)

        await tools.until(back)
    await bus.publish(names.message(b"last"))
    await recorder.seen(b"last")


async def test_stop_lets_the_handler_finish(bus, names, tools, subscribe):
    queue = names.spec()
    running, go_on = asyncio.Event(), asyncio.Event()
    finished: list[bytes] = []

    async def slow(deliveries) -> None:
        running.set()
        await go_on.wait()
        finished.extend(d.body for d in deliveries)

    subscriber = await subscribe(queue, slow)
    await bus.publish_many([names.message(b"1"), names.message(b"2")])
    await asyncio.wait_for(running.wait(), 10)
    stopping = asyncio.create_task(subscriber.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    go_on.set()
    await asyncio.wait_for(stopping, 5)
    assert finished == [b"1"]
    await tools.depth(bus, queue.name, 1)


async def test_stop_gives_back_what_takes_too_long(bus, names, tools, subscribe):
    queue = names.spec()
    running = asyncio.Event()

    async def stuck(deliveries) -> None:
        running.set()
        await asyncio.sleep(60)

    subscriber = await subscribe(queue, stuck, stop_limit_s=0.1)
    await bus.publish(names.message())
    await asyncio.wait_for(running.wait(), 10)
    await asyncio.wait_for(subscriber.stop(), 5)
    await tools.depth(bus, queue.name, 1)


async def test_a_handler_may_end_deliveries_itself(bus, names, tools, subscribe):
    queue = names.spec()

    async def handle(deliveries) -> None:
        for delivery in deliveries:
            if delivery.body == b"no":
                await delivery.dead_letter("refused")

    subscriber = await subscribe(queue, handle, batch=10)
    await bus.publish_many([names.message(b"no"), names.message(b"yes")])
    await tools.until(lambda: _equal(lambda: subscriber.counters.handled, 2))
    assert [letter.reason for letter in await tools.dead(bus, queue.name)] == ["refused"]


async def test_two_subscribers_share_a_queue(bus, names, tools, subscribe):
    queue = names.spec()
    seen: list[bytes] = []

    async def handle(deliveries) -> None:
        await asyncio.sleep(0.001)
        seen.extend(d.body for d in deliveries)

    first = await subscribe(queue, handle, prefetch=4)
    second = await subscribe(queue, handle, prefetch=4)
    await bus.publish_many([names.message(b"%d" % i) for i in range(100)])
    await tools.until(lambda: _equal(lambda: len(seen), 100))
    assert sorted(seen, key=int) == [b"%d" % i for i in range(100)]
    assert first.counters.handled > 10 and second.counters.handled > 10


async def test_a_queue_of_a_single_active_subscriber_moves_on(bus, names, tools, subscribe):
    queue = Queue(names.queue(), (names.key(),), single_active=True)
    seen: list[str] = []

    def handler(name):
        async def handle(deliveries) -> None:
            seen.extend(name for _ in deliveries)

        return handle

    first = await subscribe(queue, handler("first"))
    await tools.until(lambda: _equal(lambda: first.healthy, True))
    await subscribe(queue, handler("second"))
    await bus.publish_many([names.message() for _ in range(5)])
    await tools.until(lambda: _equal(lambda: len(seen), 5))
    await first.stop()
    await bus.publish_many([names.message() for _ in range(5)])
    await tools.until(lambda: _equal(lambda: len(seen), 10))
    assert seen == ["first"] * 5 + ["second"] * 5
