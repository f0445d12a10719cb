"""Every test here runs on the embedded bus, and on RabbitMQ where a server can be had."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from studio9_common.bus import Bus, Consumer, DeadLetter, Delivery, Outgoing, Queue, open_bus


class Names:
    """Names that no other test has, on a broker that is shared."""

    def __init__(self) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:10]}"
        self.queues: list[str] = []

    def queue(self, name: str = "q") -> str:
        self.queues.append(f"{self.prefix}.{name}.v1")
        return self.queues[-1]

    def key(self, name: str = "k") -> str:
        return f"{self.prefix}.{name}"

    def spec(self, name: str = "q", *patterns: str, **options: object) -> Queue:
        return Queue(self.queue(name), tuple(self.key(p) for p in patterns or ("k",)), **options)  # type: ignore[arg-type]

    def message(self, body: bytes = b"{}", key: str = "k", **options: object) -> Outgoing:
        options.setdefault("message_id", str(uuid.uuid4()))
        return Outgoing(self.key(key), body, **options)  # type: ignore[arg-type]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture(params=["embedded", "rabbitmq"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "embedded":
        return f"sqlite:///{tmp_path}/bus.db"
    return str(request.getfixturevalue("rabbitmq_url"))


@pytest.fixture
async def bus(url: str, names: Names) -> AsyncIterator[Bus]:
    bus = await open_bus(url, name="contract")
    yield bus
    await clean(bus, names)
    await bus.close()


async def clean(bus: Bus, names: Names) -> None:
    for letter in await bus.dead_letters(1000):
        if letter.queue in names.queues:
            await bus.drop(letter.id)
    for queue in names.queues:
        await bus.delete(queue)


async def take(consumer: Consumer, count: int, within_s: float = 10.0) -> list[Delivery]:
    """Exactly `count` deliveries."""
    taken: list[Delivery] = []
    async with asyncio.timeout(within_s):
        while len(taken) < count:
            taken += await consumer.get(count - len(taken), timeout_s=within_s)
    return taken


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 (what is awaited is on a broker)
            await asyncio.sleep(0.02)


class Tools:
    """Helpers that tests get as a fixture: test modules cannot import each other."""

    take = staticmethod(take)
    until = staticmethod(until)
    clean = staticmethod(clean)

    @staticmethod
    async def dead(bus: Bus, queue: str) -> list[DeadLetter]:
        return [letter for letter in await bus.dead_letters(1000) if letter.queue == queue]

    @staticmethod
    async def depth(bus: Bus, queue: str, expected: int, within_s: float = 10.0) -> None:
        """Waits until the queue holds so many: a broker counts a little later than it confirms."""

        async def reached() -> bool:
            return await bus.depth(queue) == expected

        await until(reached, within_s)


@pytest.fixture
def tools() -> type[Tools]:
    return Tools
