"""The bus's own queues on RabbitMQ, deleted or without a leader in mid-run: whoever needs one next mends it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.servers.processes import Processes
from studio9_cli.servers.rabbitmq import SCRIPT, RabbitNode
from studio9_cli.servers.server import Place
from studio9_common.bus import BadMessage, Bus, BusUnavailable, Delivery, Subscriber, open_bus
from studio9_common.bus.rabbitmq import mending, publisher, topology
from studio9_common.bus.subscriber import each

from .conftest import Names, until

RETRIES = topology.delay_queue(1)


@pytest.fixture(scope="module")
def node(rabbitmq_url: str) -> Iterator[RabbitNode]:
    """A broker of these tests alone, as its queues lose their leaders."""
    if not SCRIPT.exists():
        pytest.skip("these tests start a broker of their own, and the Debian package rabbitmq-server is not installed")
    processes = Processes()
    try:
        above = Path(tempfile.mkdtemp(prefix="studio9-broker-"))
        processes.remove_at_end(above)
        above.chmod(0o711)
        folder = above / "broker"
        folder.mkdir()
        node = RabbitNode(Place(folder, processes))
        node.start()
        yield node
    finally:
        processes.close()


class Service:
    """Takes messages: `flaky` fails once, `bad` is none, all else is well."""

    def __init__(self, bus: Bus, names: Names) -> None:
        self.bus, self.handled = bus, list[bytes]()
        self._names, self._failed, self._repeated = names, set[bytes](), set[bytes]()
        self.queue = names.spec("work")
        self.subscriber = Subscriber(bus, self.queue, each(self._handle))

    async def _handle(self, delivery: Delivery) -> None:
        if delivery.body.startswith(b"bad"):
            raise BadMessage("unreadable")
        if delivery.body.startswith(b"flaky") and delivery.body not in self._failed:
            self._failed.add(delivery.body)
            raise ValueError("once")
        if delivery.body not in self._repeated or delivery.body not in self.handled:
            self.handled.append(delivery.body)

    async def _publish(self, body: bytes) -> None:
        message = self._names.message(body)
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self.bus.publish(message)
                except BusUnavailable:  # a disk may be slower than a confirm is waited for; it may come twice then
                    self._repeated.add(body)
                    await asyncio.sleep(0.1)

    async def letters(self) -> dict[bytes, str]:
        """The dead letters' ids."""
        return {letter.body: letter.id for letter in await self.bus.dead_letters()}

    async def takes(self, *bodies: bytes) -> None:
        """Sends messages and waits until each was handled once or is a dead letter."""
        for body in bodies:
            await self._publish(body)
        good = sorted(body for body in bodies if not body.startswith(b"bad"))
        bad = {body for body in bodies if body.startswith(b"bad")}

        async def taken() -> bool:
            done = sorted(self.handled[-len(good) :]) == good and self.subscriber.counters.dead_lettered >= len(bad)
            return done and bad <= set(await self.letters())

        await until(taken, 60)


@pytest.fixture
async def service(node: RabbitNode, names: Names) -> AsyncIterator[Service]:
    bus = await open_bus(node.url, name="mending")
    made = Service(bus, names)
    await made.subscriber.start()
    yield made
    await made.subscriber.stop()
    await bus.delete(made.queue.name)
    await bus.close()


async def test_what_was_deleted_is_there_again_for_the_next_who_needs_it(service: Service) -> None:
    await service.takes(b"flaky-1", b"bad-1", b"1")
    own = [*topology.OWN_QUEUES.values(), topology.LOST_QUEUE]
    for queue in own:
        await service.bus.delete(queue)
    assert await service.letters() == {}, "the first use declares it, and finds what is left"
    for queue in own:
        await service.bus.delete(queue)
    await service.takes(b"flaky-2", b"bad-2", b"2")
    letter = (await service.letters())[b"bad-2"]
    for queue in own:
        await service.bus.delete(queue)
    assert not await service.bus.replay(letter) and not await service.bus.drop(letter)
    await service.takes(b"flaky-3", b"bad-3", b"3")
    assert service.handled.count(b"flaky-3") == 1


def without_leaders(node: RabbitNode, *queues: str) -> None:
    """Of a node alone, the leader is all that a queue has."""
    node.evaluate(
        "".join(f"ok = ra:stop_server(quorum_queues, {{'%2F_{queue}', node()}}), " for queue in queues) + "ok."
    )


async def test_a_queue_without_a_leader_is_made_anew(
    service: Service, node: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "PATIENCE_S", 3.0)
    monkeypatch.setattr(mending, "DEAD_PATIENCE_S", 3.0)
    monkeypatch.setattr(publisher, "CONFIRM_TIMEOUT_S", 3.0)
    await service.takes(b"flaky-1")  # a publisher that knows the queue waits for a confirm, another is refused at once
    await asyncio.to_thread(without_leaders, node, RETRIES, topology.DEAD_QUEUE)
    await service.takes(b"flaky-2", b"bad-2", b"2")
    assert service.subscriber.counters.pauses, "nothing was acknowledged before it had gone on"

    await asyncio.to_thread(without_leaders, node, topology.DEAD_QUEUE)
    answers: list[Any] = []
    async with asyncio.timeout(30):
        while not answers or isinstance(answers[-1], BusUnavailable):
            try:
                answers.append(await service.letters())
            except BusUnavailable as error:
                answers.append(error)
                await asyncio.sleep(0.2)
    assert len(answers) > 1 and answers[-1] == {}
    await service.takes(b"flaky-3", b"bad-3", b"3")


async def test_a_broker_that_has_just_lost_a_leader_gets_time(service: Service, node: RabbitNode) -> None:
    await asyncio.to_thread(without_leaders, node, topology.DEAD_QUEUE)
    for _ in range(5):
        with pytest.raises(BusUnavailable):
            await service.letters()
        async with asyncio.timeout(30):
            while True:
                try:
                    await service.bus.ping()
                    break
                except BusUnavailable:
                    await asyncio.sleep(0.1)
    node.evaluate(f"ok = ra:restart_server(quorum_queues, {{'%2F_{topology.DEAD_QUEUE}', node()}}).")
    await service.takes(b"bad-4", b"4")
