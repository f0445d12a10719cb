"""A machine that joined, on a real broker: its bus works, and each thing that it must not reach is refused."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
import pytest

from studio9_common.bus.connect import open_bus
from studio9_common.bus.headers import ROUTING_KEY
from studio9_common.bus.port import Bus, Outgoing, Queue
from studio9_common.bus.rabbitmq import BusForbidden
from studio9_common.bus.rabbitmq.topology import DEAD_QUEUE, EXCHANGE, delay_queue
from studio9_common.bus.rabbitmq.users import password_hash
from studio9_common.ids import new_id
from studio9_orion.joining.broker import BrokerUsers


@dataclass(frozen=True, slots=True)
class Place:
    """A vhost of this test: its administrator's bus, and the makers of users and addresses."""

    admin: Bus
    users: BrokerUsers
    url: str

    def address(self, worker: str, password: str) -> str:
        place = urlsplit(self.url)
        return place._replace(netloc=f"{self.users.user(worker)}:{password}@{place.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture
async def place(rabbitmq_url: str, rabbitmq_management_url: str) -> AsyncIterator[Place]:
    name = f"member-{secrets.token_hex(4)}"
    parts, admin = urlsplit(rabbitmq_management_url), urlsplit(rabbitmq_url)
    base = f"{parts.scheme}://{parts.hostname}:{parts.port}/api"
    async with httpx.AsyncClient(base_url=base, auth=(parts.username or "", parts.password or "")) as http:
        (await http.put(f"/vhosts/{name}")).raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        user = quote(admin.username or "", safe="")
        (await http.put(f"/permissions/{name}/{user}", json=everything)).raise_for_status()
        url = admin._replace(path=f"/{name}").geturl()
        bus = await open_bus(url, name="test")
        await bus.ping()
        users = BrokerUsers(rabbitmq_management_url, name, prefix=f"{name}-")
        yield Place(bus, users, url)
        await users.close()
        await bus.close()
        for one in (await http.get("/users")).json():
            if one["name"].startswith(name):
                await http.delete(f"/users/{one['name']}")
        await http.delete(f"/vhosts/{name}")


@pytest.fixture
async def member(place: Place) -> AsyncIterator[Bus]:
    password = secrets.token_urlsafe(24)
    await place.users.make("gpu-1", password_hash(password, os.urandom(4)))
    bus = await open_bus(place.address("gpu-1", password), name="gpu-1", topology="member")
    yield bus
    await bus.close()


OWN = Queue("worker.gpu-1.v1", ("worker.run.gpu-1", "worker.lease.gpu-1"), expires_s=60)
BEATS = Queue("orion.beats.v1", ("worker.beat.#",))


def message(key: str, body: bytes = b"{}") -> Outgoing:
    return Outgoing(key, body, new_id())


async def test_a_member_takes_its_commands_and_beats(place: Place, member: Bus) -> None:
    await place.admin.declare(BEATS)
    await member.declare(OWN, Queue("worker.gpu-1.config.x.v1", ("config.changed",), expires_s=60, transient=True))
    await member.publish(message("worker.beat.gpu-1"))
    assert await place.admin.depth(BEATS.name) == 1
    await place.admin.publish(message("worker.run.gpu-1", b"run"))
    async with member.consume(OWN.name) as consumer:
        (delivery,) = await consumer.get(timeout_s=30)
        assert delivery.body == b"run"
        await delivery.retry(0, reason="not yet")
        (again,) = await consumer.get(timeout_s=30)
        assert (again.body, again.failures, again.redelivered) == (b"run", 1, True)
        await again.dead_letter("unreadable")
    assert await place.admin.depth(OWN.name) == 0, "dropped here; the dead letters are not the member's"
    assert await place.admin.depth(DEAD_QUEUE) == 0


@pytest.mark.parametrize(
    "key",
    [
        "job.requested",
        "worker.run.gpu-2",
        "worker.run.gpu-1",
        "config.changed",
        "job.completed",
        "worker.beat",
        "worker.beat.gpu-2",
        "worker.result.gpu-10",
        "worker.result.gpu-1.gpu-2",
    ],
)
async def test_it_says_nothing_but_what_a_worker_says(place: Place, member: Bus, key: str) -> None:
    await place.admin.declare(Queue("orion.all.v1", ("#",)))
    with pytest.raises(BusForbidden):
        await member.publish(message(key))
    assert await place.admin.depth("orion.all.v1") == 0


async def test_it_hears_nothing_but_its_own(place: Place, member: Bus) -> None:
    other = Queue("worker.gpu-2.v1", ("worker.run.gpu-2",))
    await place.admin.declare(BEATS, other)
    await place.admin.publish(message("worker.run.gpu-2"))
    for queue in (BEATS.name, other.name, DEAD_QUEUE, delay_queue(1)):
        with pytest.raises(BusForbidden):
            async with member.consume(queue):
                pass
    for key in ("worker.run.gpu-2", "worker.#", "job.requested", "#", "worker.beat"):
        with pytest.raises(BusForbidden):
            await member.declare(Queue(f"worker.gpu-1.{new_id()}.v1", (key,), expires_s=60))
    for foreign in ("worker.gpu-2.own.v1", "worker.gpu-10.v1", "orion.mine.v1", "studio9.mine"):
        with pytest.raises(BusForbidden):
            await member.declare(Queue(foreign, (), expires_s=60))
    for queue in (BEATS.name, other.name):
        with pytest.raises(BusForbidden):
            await member.delete(queue)
    assert await place.admin.depth(other.name) == 1


async def test_its_name_is_what_the_broker_checked_not_what_a_header_says(place: Place, member: Bus) -> None:
    await place.admin.declare(BEATS)
    publisher = member._publisher  # type: ignore[attr-defined]  # what no port offers, a hostile machine does
    forged = {ROUTING_KEY: "worker.beat.gpu-2"}
    await publisher.send(EXCHANGE, Outgoing("worker.beat.gpu-1", b"forged", new_id(), forged))
    async with place.admin.consume(BEATS.name) as consumer:
        (delivery,) = await consumer.get(timeout_s=30)
        assert delivery.routing_key == "worker.beat.gpu-1"
        await delivery.retry(0.1, reason="once more")
        (again,) = await consumer.get(timeout_s=30)
        assert (again.routing_key, again.failures) == ("worker.beat.gpu-1", 1)
        await again.ack()


async def test_no_way_around_leads_into_another_queue(place: Place, member: Bus) -> None:
    """The delay ladder, the dead letters and the default exchange would take a message to any queue that it names."""
    await place.admin.declare(BEATS)
    publisher = member._publisher  # type: ignore[attr-defined]  # what no port offers, a hostile machine does
    for exchange in ("studio9.delay.1", "studio9.return", "studio9.replay", "studio9.dead", "studio9.lost", ""):
        with pytest.raises(BusForbidden):
            await publisher.send(exchange, message(BEATS.name, b"forged"))
    assert await place.admin.depth(BEATS.name) == 0


async def test_a_removed_member_is_cut_off_and_stays_out(place: Place, member: Bus) -> None:
    await member.declare(OWN)
    async with member.consume(OWN.name) as consumer:
        waiting = asyncio.create_task(consumer.get(timeout_s=30))
        await place.users.remove("gpu-1")
        with pytest.raises(Exception, match=r"queue|lost|broker|reach"):
            await waiting
    async with asyncio.timeout(30):
        while True:
            try:
                await member.ping()
            except Exception as error:
                assert "refuse" in str(error).lower() or "reach" in str(error).lower(), error
                break
    await place.users.remove("gpu-1")
