"""What only a broker across a network can do: cut connections, hang, refuse, lose its topology, give messages up."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.channel import Channel
from yarl import URL

from studio9_common.bus import BadMessage, BusUnavailable, Queue, QueueGone, Subscriber, open_bus
from studio9_common.bus.rabbitmq import BusForbidden, publisher, topology
from studio9_common.bus.rabbitmq.silence import TRIES

from .conftest import Names


class Wire:
    """A TCP relay in front of the broker that can be cut, frozen and closed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flow = asyncio.Event()
        self._flow.set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self, frozen: bool) -> None:
        self._flow.clear() if frozen else self._flow.set()

    async def close(self) -> None:
        """Connections are refused from now on."""
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind, ahead = await asyncio.open_connection(*self._target)
            self._writers |= {writer, ahead}
            await asyncio.gather(self._pump(reader, ahead), self._pump(behind, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flow.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)


@pytest.fixture
async def wire(rabbitmq_url: str) -> AsyncIterator[Wire]:
    url = URL(rabbitmq_url)
    wire = Wire(url.host or "127.0.0.1", url.port or 5672)
    await wire.open()
    yield wire
    await wire.close()


@pytest.fixture
async def bus(rabbitmq_url, wire, names, tools):
    bus = await open_bus(str(URL(rabbitmq_url).with_host("127.0.0.1").with_port(wire.port)), name="contract-wire")
    yield bus
    await bus.close()
    direct = await open_bus(rabbitmq_url, name="contract-clean")
    await tools.clean(direct, names)
    await direct.close()


@pytest.fixture
async def raw(rabbitmq_url) -> AsyncIterator[AbstractChannel]:
    """A bare channel, to do to the broker what no bus would."""
    connection = await aio_pika.connect(rabbitmq_url)
    yield await connection.channel()
    await connection.close()


async def test_a_cut_connection_surfaces_and_the_next_call_reconnects(bus, names, tools, wire):
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(5)])
    async with bus.consume(queue.name) as consumer:
        held = await tools.take(consumer, 2)
        await tools.take(consumer, 3)
        waiting = asyncio.create_task(consumer.get())
        await asyncio.sleep(0.05)
        wire.cut()
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(waiting, 20)
        with pytest.raises(BusUnavailable):
            await consumer.get()
        with pytest.raises(BusUnavailable):
            await held[0].ack()
        with pytest.raises(BusUnavailable):
            await held[1].retry(1, reason="too late")
    await bus.publish(names.message(b"5"))
    async with bus.consume(queue.name) as consumer:
        again = {d.body: d.redelivered for d in await tools.take(consumer, 6)}
    assert again == {b"0": True, b"1": True, b"2": True, b"3": True, b"4": True, b"5": False}


async def test_publishes_cut_in_flight_fail_and_what_was_confirmed_is_there(bus, names, tools, wire):
    queue = names.spec()
    await bus.declare(queue)
    confirmed: set[bytes] = set()
    failed = 0

    async def publish(start: int) -> None:
        nonlocal failed
        for i in range(start, start + 300):
            try:
                await bus.publish(names.message(b"%d" % i))
                confirmed.add(b"%d" % i)
            except BusUnavailable:
                failed += 1
                await asyncio.sleep(0.02)

    async def cut() -> None:
        for _ in range(4):
            await asyncio.sleep(0.15)
            wire.cut()

    async with asyncio.timeout(60):
        await asyncio.gather(cut(), *(publish(i * 300) for i in range(16)))
    assert failed
    found: set[bytes] = set()
    async with asyncio.timeout(60), bus.consume(queue.name, prefetch=1000) as consumer:
        while not confirmed <= found:
            for delivery in await consumer.get(1000, timeout_s=1):
                found.add(delivery.body)
                await delivery.ack()


async def test_while_the_broker_is_away_calls_fail_at_once_and_later_work_again(bus, names, wire):
    queue = names.spec()
    await bus.declare(queue)
    await wire.close()
    for _ in range(4):
        with pytest.raises(BusUnavailable):
            await bus.publish(names.message())
    before = time.monotonic()
    for call in (bus.ping, lambda: bus.declare(queue), lambda: bus.depth(queue.name), bus.dead_letters):
        with pytest.raises(BusUnavailable):
            await call()
    outcomes = await bus.publish_many([names.message(), names.message()])
    assert all(isinstance(o, BusUnavailable) for o in outcomes)
    assert time.monotonic() - before < 10, "nothing waits until the broker is back"
    await wire.open()

    async with asyncio.timeout(15):
        while True:
            try:
                await bus.publish(names.message())
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
    assert await bus.depth(queue.name) >= 1


async def test_a_bus_can_be_opened_before_its_broker(rabbitmq_url, names, tools, wire):
    await wire.close()
    seen = asyncio.Event()

    async def handle(deliveries) -> None:
        seen.set()

    bus = await open_bus(str(URL(rabbitmq_url).with_host("127.0.0.1").with_port(wire.port)), name="early")
    subscriber = Subscriber(bus, names.spec(), handle)
    await subscriber.start()
    assert not subscriber.healthy
    await wire.open()

    async def healthy() -> bool:
        return subscriber.healthy

    await tools.until(healthy, 15)
    await bus.publish(names.message())
    await asyncio.wait_for(seen.wait(), 20)
    await subscriber.stop()
    await tools.clean(bus, names)
    await bus.close()


async def test_a_subscriber_goes_on_after_cuts(bus, names, tools, wire, rabbitmq_url):
    queue = names.spec()
    seen: set[bytes] = set()

    async def handle(deliveries) -> None:
        seen.update(d.body for d in deliveries)
        await asyncio.sleep(0.001)

    subscriber = Subscriber(bus, queue, handle, batch=5)
    await subscriber.start()
    other = await open_bus(rabbitmq_url, name="contract-publisher")
    for round_ in range(4):
        await other.publish_many([names.message(b"%d" % (round_ * 100 + i)) for i in range(100)])
        await asyncio.sleep(0.03)
        wire.cut()

    async def all_seen() -> bool:
        return len(seen) == 400

    await tools.until(all_seen, 20)
    await subscriber.stop()
    await tools.depth(other, queue.name, 0)
    await other.close()


async def test_a_queue_deleted_during_a_cut_is_declared_with_the_new_connection(bus, names, raw, wire):
    queue = names.spec()
    await bus.declare(queue)
    await (await raw.get_underlay_channel()).queue_delete(queue.name)
    wire.cut()
    await asyncio.sleep(0.05)
    await bus.publish(names.message())
    assert await bus.depth(queue.name) == 1


async def test_a_topology_that_was_deleted_is_mended(bus, names, tools, raw):
    """The exchange, the rungs and the dead letters' queue are missed by the first who needs them."""
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish_many([names.message(b"retry"), names.message(b"dead")])
    channel = await raw.get_underlay_channel()
    async with bus.consume(queue.name) as consumer:
        held = {d.body: d for d in await tools.take(consumer, 2)}
        await channel.exchange_delete(topology.delay_exchange(1))
        await channel.queue_delete(topology.delay_queue(1))
        await held[b"retry"].retry(1, reason="x")
        (again,) = await tools.take(consumer, 1)
        assert again.failures == 1
        await again.ack()
        await channel.queue_delete(topology.DEAD_QUEUE)
        await held[b"dead"].dead_letter("x")
        assert len(await tools.dead(bus, queue.name)) == 1
        await channel.exchange_delete(topology.EXCHANGE)
        await bus.publish(names.message(b"after"))
        (after,) = await tools.take(consumer, 1)
        assert after.body == b"after"


async def test_what_the_broker_itself_gives_up_is_a_dead_letter_too(bus, names, tools, monkeypatch):
    monkeypatch.setattr(topology, "DELIVERY_LIMIT", 2)
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message(b"killer", message_id="m-1"))
    async with bus.consume(queue.name) as consumer:
        for _ in range(3):
            (delivery,) = await tools.take(consumer, 1)
            await delivery.release()

    async def given_up() -> bool:
        return bool(await tools.dead(bus, queue.name))

    await tools.until(given_up)
    (letter,) = await tools.dead(bus, queue.name)
    assert (letter.reason, letter.body, letter.message_id) == ("delivery_limit", b"killer", "m-1")
    assert letter.routing_key == names.key()
    assert await bus.replay(letter.id)
    await tools.depth(bus, queue.name, 1)


async def test_a_delayed_message_whose_queue_is_gone_disturbs_no_other(bus, names, tools):
    gone, stays = names.spec("gone", "a"), names.spec("stays", "b")
    await bus.declare(gone, stays)
    await bus.publish_many([names.message(key="a"), names.message(key="b")])
    async with bus.consume(gone.name) as one, bus.consume(stays.name) as other:
        (first,) = await tools.take(one, 1)
        (second,) = await tools.take(other, 1)
        await first.retry(1, reason="x")
        await second.retry(1, reason="x")
    await bus.delete(gone.name)
    async with bus.consume(stays.name) as other:
        await tools.take(other, 1)
    assert await tools.dead(bus, gone.name) == []


async def test_a_broker_that_hangs_is_unavailable(bus, names, wire, monkeypatch):
    monkeypatch.setattr(publisher, "CONFIRM_TIMEOUT_S", 0.3)
    queue = names.spec()
    await bus.declare(queue)
    await bus.publish(names.message())
    wire.freeze(True)
    with pytest.raises(BusUnavailable, match="in time"):
        await bus.publish(names.message())
    wire.freeze(False)
    await bus.publish(names.message())


async def test_a_wrong_password_says_so(rabbitmq_url):
    bus = await open_bus(str(URL(rabbitmq_url).with_password("wrong")), name="contract")
    with pytest.raises(BusUnavailable, match="user or password"):
        await bus.ping()
    await bus.close()


@contextlib.asynccontextmanager
async def broker_user(
    rabbitmq_url: str, rabbitmq_management_url: str, user: str, permissions: dict[str, str], topics: dict[str, str]
) -> AsyncIterator[str]:
    """The address for a user with these permissions, while the block lasts."""
    url = URL(rabbitmq_url)
    vhost = quote(url.path[1:] or "/", safe="")
    management = URL(rabbitmq_management_url)
    login = (management.user or url.user or "", management.password or url.password or "")
    async with httpx.AsyncClient(base_url=str(management.origin()), auth=login) as client:
        (await client.put(f"/api/users/{user}", json={"password": "pass", "tags": ""})).raise_for_status()
        (await client.put(f"/api/permissions/{vhost}/{user}", json=permissions)).raise_for_status()
        if topics:
            (await client.put(f"/api/topic-permissions/{vhost}/{user}", json=topics)).raise_for_status()
        yield str(url.with_user(user).with_password("pass"))
        await client.delete(f"/api/users/{user}")


@pytest.fixture
async def worker_url(rabbitmq_url, rabbitmq_management_url, names) -> AsyncIterator[str]:
    """A broker user as a worker's: it may publish and read its own queue, and declares nothing."""
    permissions = {"configure": "^$", "write": r"^studio9($|\.delay|\.dead)", "read": rf"^{names.prefix}\.own"}
    topics = {"exchange": "studio9", "write": rf"^{names.prefix}\.(beat|own)$", "read": "^$"}
    user = f"{names.prefix}-worker"
    async with broker_user(rabbitmq_url, rabbitmq_management_url, user, permissions, topics) as url:
        yield url


async def test_a_service_replays_into_the_queue_of_another(bus, rabbitmq_url, rabbitmq_management_url, names, tools):
    """With the permissions of a deployment: the platform's exchanges and its own queues."""
    other = names.spec("other")
    await bus.declare(other)
    await bus.publish(names.message(b"1", message_id="m-1"))
    async with bus.consume(other.name) as consumer:
        (delivery,) = await tools.take(consumer, 1)
        await delivery.dead_letter("unreadable")
    own = rf"^(studio9($|\.)|{names.prefix}\.own)"
    permissions = {"configure": own, "write": own, "read": own}
    user = f"{names.prefix}-service"
    async with broker_user(rabbitmq_url, rabbitmq_management_url, user, permissions, {}) as url:
        service = await open_bus(url, name="contract-service")
        (letter,) = await tools.dead(service, other.name)
        assert await service.replay(letter.id)
        await service.close()
    assert await tools.dead(bus, other.name) == []
    async with bus.consume(other.name) as consumer:
        (again,) = await tools.take(consumer, 1)
        assert (again.message_id, again.body) == ("m-1", b"1")
        await again.ack()


async def test_a_user_who_may_declare_nothing_works_on_a_given_topology(bus, worker_url, names, tools):
    own, other = names.spec("own", "own"), names.spec("other", "beat")
    await bus.declare(own, other)
    given = await open_bus(worker_url, name="contract-worker", topology="given")
    try:
        await given.declare(own)
        await given.publish(names.message(key="beat"))
        await bus.publish_many([names.message(b"1", "own"), names.message(b"2", "own")])
        async with given.consume(own.name) as consumer:
            held = {d.body: d for d in await tools.take(consumer, 2)}
            await held[b"1"].retry(1, reason="again")
            await held[b"2"].dead_letter("unreadable")
            (again,) = await tools.take(consumer, 1)
            assert again.failures == 1
            await again.ack()
        with pytest.raises(QueueGone):
            await given.declare(names.spec("never"))
        with pytest.raises(BusForbidden):
            await given.publish(names.message(key="secret"))
        with pytest.raises(BusForbidden):
            async with given.consume(other.name):
                pass
        await given.publish(names.message(key="beat"))
        owning = await open_bus(worker_url, name="contract-worker")
        with pytest.raises(BusForbidden):
            await owning.ping()
        await owning.close()
    finally:
        await given.close()
    assert await bus.depth(other.name) == 2
    assert len(await tools.dead(bus, own.name)) == 1


async def test_closing_gives_back_what_is_held(rabbitmq_url, bus, names, tools):
    queue = names.spec()
    other = await open_bus(rabbitmq_url, name="contract-other")
    await other.declare(queue)
    await other.publish(names.message())
    consumer = other.consume(queue.name)
    await consumer.__aenter__()
    await tools.take(consumer, 1)
    await other.close()
    with pytest.raises(BusUnavailable):
        await other.publish(names.message())
    async with bus.consume(queue.name) as again:
        (delivery,) = await tools.take(again, 1)
        assert delivery.redelivered


async def test_a_bad_message_can_be_declared_so_while_the_bus_is_away(bus, names, tools, wire):
    """Giving up needs the broker: without it the message simply comes again."""
    queue = names.spec()

    async def handle(deliveries) -> None:
        if not tried:
            tried.append(1)
            wire.cut()
            await asyncio.sleep(0.05)
        raise BadMessage("unreadable")

    tried: list[int] = []
    subscriber = Subscriber(bus, queue, handle)
    await subscriber.start()
    await bus.publish(names.message())

    async def given_up() -> bool:
        return subscriber.counters.dead_lettered == 1

    await tools.until(given_up, 15)
    await subscriber.stop()
    assert len(await tools.dead(bus, queue.name)) == 1
    await tools.depth(bus, queue.name, 0)


async def test_many_declarations_of_an_expiring_queue_keep_their_type(bus, names):
    queue = Queue(names.queue(), (names.key(),), expires_s=60, transient=True, message_ttl_s=20, single_active=True)
    assert topology.arguments(queue) == {
        "x-queue-type": "classic",
        "x-expires": 60_000,
        "x-message-ttl": 20_000,
        "x-single-active-consumer": True,
    }
    await bus.declare(queue)
    await bus.declare(queue)


async def test_a_queue_that_never_answers_is_made_anew(
    rabbitmq_url: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that was killed in a bad moment has a queue without a leader: it does not answer to a consumer."""
    bus = await open_bus(rabbitmq_url, name="silence")
    queue = names.spec("silent")
    await bus.declare(queue)
    await bus.publish(names.message(mandatory=True))

    async def no_answer(self: Channel, *_: object, **__: object) -> None:
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "basic_consume", no_answer)
        for _ in range(TRIES):
            await bus.declare(queue)
            assert await bus.depth(queue.name) == 1
            with pytest.raises(BusUnavailable):
                async with bus.consume(queue.name):
                    pass
    await bus.declare(queue)
    assert await bus.depth(queue.name) == 0
    await bus.publish(names.message(b"again", mandatory=True))
    async with bus.consume(queue.name) as consumer:
        (delivery,) = await consumer.get(1)
        assert delivery.body == b"again"
        await delivery.ack()
    await bus.delete(queue.name)
    await bus.close()


async def test_a_queue_that_refuses_has_answered(rabbitmq_url: str, names: Names) -> None:
    bus = await open_bus(rabbitmq_url, name="silence")
    queue = names.spec("refusing")
    await bus.declare(queue)
    await bus.publish(names.message(mandatory=True))
    for _ in range(TRIES + 1):
        with pytest.raises(QueueGone):
            async with bus.consume(names.queue("none")):
                pass
    await bus.declare(queue)
    assert await bus.depth(queue.name) == 1
    await bus.delete(queue.name)
    await bus.close()
