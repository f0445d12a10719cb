"""Providers under test, each with a site that is there and one that is gone; one today: our own workers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from studio9_aries.app import build as build_aries
from studio9_aries.settings import AriesSettings
from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Queue
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import WORKERS
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.job import Job, Requirements, Spec
from studio9_common.contracts.messages import AttemptBeat, Slot, WorkerBeat, WorkerCancel, WorkerRun
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.ids import new_id
from studio9_common.times import format_time
from studio9_common.tokens import TokenKeys
from studio9_orion.beats import Beats
from studio9_orion.core import Policy, decide
from studio9_orion.core.events import Assigned, CancelRequested, Requested
from studio9_orion.providers.port import Order, Provider
from studio9_orion.providers.workers import WorkersProvider
from studio9_orion.store import put_many
from studio9_orion.workers import Workers

HERE, GONE = "here", "gone"
QUEUE = Queue(f"worker.{HERE}.v1", (f"worker.*.{HERE}",))
POLICY = Policy()


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class OwnWorkers:
    """Our workers: HERE has a queue, GONE has none; what a worker shows comes with its beats."""

    def __init__(self, bus: EmbeddedBus, store: AriesClient) -> None:
        self.clock = Clock()
        self._bus, self._store = bus, store
        self._beats, self._workers = Beats(store), Workers(store)
        self.provider: Provider = WorkersProvider(bus, self._beats, self._workers, self.clock, POLICY)
        self._sequence = 0

    def run(self, site: str = HERE, requirements: Requirements | None = None) -> Order:
        """The order to begin a new job's first attempt."""
        now = self.clock.now()
        spec = Spec(kind="train", requirements=requirements or Requirements())
        requested = Requested(job=new_id(), organisation="acme", owner="ana", spec=spec, request_hash="h")
        job = decide(None, requested, now, POLICY).job
        job = decide(job, Assigned(worker=site), now, POLICY).job
        assert job is not None
        return order(job, WorkerRun.type)

    def cancel(self, run: Order) -> Order:
        """The order to stop an attempt that was ordered."""
        asked = CancelRequested(job=run.job.id, organisation="acme", requested_by="ana")
        job = decide(run.job, asked, self.clock.now(), POLICY).job
        assert job is not None
        return order(job, WorkerCancel.type)

    async def arrived(self, count: int) -> list[tuple[str, str, int]]:
        """(what, job, fence) that came to HERE since it was last asked: `count` are waited for, more are found, too."""
        found: list[tuple[str, str, int]] = []
        async with self._bus.consume(QUEUE.name) as consumer:
            while deliveries := await consumer.get(50, 10 if len(found) < count else 0.05):
                for delivery in deliveries:
                    data = decode(delivery.body).data
                    assert isinstance(data, WorkerRun | WorkerCancel)
                    found.append((data.type, data.job, data.fence))
                    await delivery.ack()
        return found

    async def shows(self, slots: int, *running: Order) -> None:
        """HERE tells of its slots without a GPU, and of the attempts in them."""
        self._sequence += 1
        now = self.clock.now()
        attempts = tuple(
            AttemptBeat(
                job=one.job.id, organisation="acme", fence=one.job.fence, sequence=self._sequence, phase="running"
            )
            for one in running
        )
        jobs = [*(one.job.id for one in running), *[None] * (slots - len(running))]
        shown = tuple(Slot(id=str(number), job=job) for number, job in enumerate(jobs))
        beat = WorkerBeat(worker=HERE, instance="i", sequence=self._sequence, slots=shown, attempts=attempts)
        until = format_time(now + timedelta(seconds=POLICY.lease_s))
        await self._beats.put([(HERE, one) for one in attempts], format_time(now), until)
        await put_many(self._store, WORKERS.name, await self._workers.documents([beat], format_time(now)))

    async def cut_off(self) -> None:
        """From now on nothing reaches anybody."""
        await self._bus.close()


def order(job: Job, what: str) -> Order:
    return Order(job, next(command for command in job.outbox if command.type == what))


@pytest.fixture(params=[OwnWorkers])
async def sites(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OwnWorkers]:
    keys = TokenKeys(TokenKeys.generate())
    documents = await SqliteDocuments.open(tmp_path / "aries.sqlite")
    aries = build_aries(AriesSettings(), documents=documents, keys=keys)
    await aries.start()
    bus = await EmbeddedBus.open(tmp_path / "bus.sqlite")
    await bus.declare(QUEUE)
    store = AriesClient(aries.asgi, service="orion", keys=keys, retry_s=0)
    yield request.param(bus, store)
    await store.close()
    await bus.close()
    await aries.stop()
    await documents.close()
