"""A job in the hands of the core, with a clock that only the test moves; and real embedded parts around Orion."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from studio9_aries.app import build as build_aries
from studio9_aries.settings import AriesSettings
from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Bus, Queue
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Attempt, Job, ObjectRef, Phase, Spec, State
from studio9_common.contracts.messages import Message
from studio9_common.contracts.reasons import Reason
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_common.times import Clock, parse_time
from studio9_common.tokens import TokenKeys
from studio9_orion.app import OrionService, build
from studio9_orion.core import Decision, Policy, decide
from studio9_orion.core.decision import Reply
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    Cleaned,
    CoreEvent,
    Requested,
    ResultReceived,
    Tick,
)
from studio9_orion.queues import BEATS, CLEAN, REQUESTS, RESULTS, SCHEDULE, TELEMETRY
from studio9_orion.settings import OrionSettings

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
REF = ObjectRef(key="acme/jobs/j/1/manifest.json", sha256="0" * 64, size=10)


class Life:
    """One job: each call tells the core something and keeps the new job."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.id = new_id()
        self.policy = policy or Policy()
        self.now = START
        self.stored: Job | None = None
        self.last = Decision(None)

    @property
    def job(self) -> Job:
        assert self.stored is not None
        return self.stored

    @property
    def attempt(self) -> Attempt:
        return self.job.attempts[-1]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.job.events]

    @property
    def commands(self) -> list[str]:
        """The types of the last decision's commands, without `studio9.` and `.v1`."""
        return [command.type.removeprefix("studio9.").removesuffix(".v1") for command in self.last.commands]

    @property
    def replies(self) -> list[str]:
        """The same of what is told outside the outbox."""
        told = [effect.command for effect in self.last.effects if isinstance(effect, Reply)]
        return [command.type.removeprefix("studio9.").removesuffix(".v1") for command in told]

    def tell(self, event: CoreEvent, *, after: float = 1.0) -> "Life":
        self.now += timedelta(seconds=after)
        self.last = decide(self.stored, event, self.now, self.policy)
        self.stored = self.last.job
        return self

    def at(self) -> tuple[Phase, State]:
        return self.job.phase, self.job.state

    def request(self, **changes: Any) -> "Life":
        given: dict[str, Any] = {
            "job": self.id,
            "organisation": "acme",
            "owner": "ana",
            "spec": Spec(kind="train"),
            "request_hash": "h",
            "context": {"experiment": "e1"},
        }
        return self.tell(Requested(**(given | changes)))

    def cancel(self, **changes: Any) -> "Life":
        given = {"job": self.id, "organisation": "acme", "requested_by": "ana"}
        return self.tell(CancelRequested(**(given | changes)))

    def assign(self, worker: str = "w1", *, after: float = 60.0) -> "Life":
        return self.tell(Assigned(worker=worker), after=after)

    def beat(self, phase: Any = "running", **changes: Any) -> "Life":
        given: dict[str, Any] = {"worker": self.attempt.worker, "fence": self.job.fence, "phase": phase}
        return self.tell(Beat(**(given | changes)))

    def result(self, outcome: Any = "succeeded", why: Reason | None = None, **changes: Any) -> "Life":
        given: dict[str, Any] = {
            "worker": self.attempt.worker,
            "organisation": "acme",
            "fence": self.job.fence,
            "outcome": outcome,
            "reason": why,
        }
        return self.tell(ResultReceived(**(given | changes)))

    def tick(self, after: float = 1.0, **given: Any) -> "Life":
        return self.tell(Tick(**given), after=after)

    def pass_deadline(self, name: str | None = None) -> "Life":
        """Ticks just after the named deadline (or the earliest)."""
        due = self.job.deadlines[name] if name else min(self.job.deadlines.values())
        return self.tick(max((parse_time(due) - self.now).total_seconds(), 0) + 0.001)

    def in_phase(self, phase: Phase) -> "Life":
        """A new job brought to a phase by the shortest way."""
        if phase is Phase.submitted:
            return self.request(depends_on=("other",))
        self.request()
        if phase is Phase.queued:
            return self
        self.assign()
        match phase:
            case Phase.assigned:
                return self
            case Phase.starting:
                return self.beat("staging")
            case Phase.running:
                return self.beat()
            case Phase.cancelling:
                return self.beat().cancel()
            case Phase.backing_off:
                return self.beat().pass_deadline("silent")
        return self.beat().result() if phase is Phase.cleaning else self.beat().result().tell(Cleaned())


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def new_life() -> Callable[..., Life]:
    return Life


class ManualClock:
    """Time that only the test moves; `monotonic` follows it."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys(TokenKeys.generate())


@dataclass
class World:
    """Real parts on disk: the embedded bus, Aries over the embedded store through its client, local objects."""

    folder: Path
    bus: EmbeddedBus
    store: AriesClient
    objects: LocalObjects
    keys: TokenKeys
    clock: ManualClock
    settings: OrionSettings = field(default_factory=lambda: OrionSettings(tick_s=0.2, orphan_tick_s=1.0))

    def orion(self, *, bus: Bus | None = None, clock: Clock | None = None, **settings: Any) -> OrionService:
        """An Orion that is not started; by default with the clock that only the test moves."""
        return build(
            self.settings.model_copy(update=settings),
            bus=bus or self.bus,
            store=self.store,
            objects=self.objects,
            keys=self.keys,
            clock=clock or self.clock,
        )

    async def job(self, id: str) -> Job:
        return (await self.store.get_job(id))[0]

    async def listen(self, name: str, *patterns: str) -> Queue:
        """A queue that takes what matches."""
        queue = Queue(name, patterns, transient=True)
        await self.bus.declare(queue)
        return queue

    async def take(self, queue: Queue) -> list[Message]:
        """What is in a queue now, however long reading it takes."""
        count = await self.bus.depth(queue.name)
        taken: list[Message] = []
        async with self.bus.consume(queue.name) as consumer, asyncio.timeout(10):
            while len(taken) < count:
                for delivery in await consumer.get(count - len(taken)):
                    taken.append(decode(delivery.body).data)
                    await delivery.ack()
        return taken

    async def send(self, data: Message, organisation: str = "acme") -> None:
        await self.bus.publish(encode(data, source="test", organisation=organisation))


@pytest.fixture
async def world(tmp_path: Path, keys: TokenKeys, clock: ManualClock) -> AsyncIterator[World]:
    documents = await SqliteDocuments.open(tmp_path / "aries.sqlite")
    aries = build_aries(AriesSettings(), documents=documents, keys=keys)
    await aries.start()
    bus = await EmbeddedBus.open(tmp_path / "bus.sqlite")
    client = AriesClient(aries.asgi, service="orion", keys=keys, retry_s=0)
    objects = LocalObjects(tmp_path / "objects", base_url="http://127.0.0.1/objects")
    for queue in (REQUESTS, RESULTS, CLEAN, TELEMETRY, SCHEDULE, BEATS):
        await bus.declare(queue)
    yield World(tmp_path, bus, client, objects, keys, clock)
    await client.close()
    await bus.close()
    await objects.close()
    await aries.stop()
    await documents.close()
