"""Two Orions on RabbitMQ and Elasticsearch: workers that finish, die or refuse, and a broker that loses its queues."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from studio9_aries.app import build as build_aries
from studio9_aries.settings import AriesSettings
from studio9_common.bus import Bus, Queue, open_bus
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import COLLECTIONS, SCHEDULER
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Job, Phase, Requirements, Spec, State
from studio9_common.contracts.messages import (
    AttemptBeat,
    JobCancel,
    JobRequested,
    Message,
    Slot,
    WorkerBeat,
    WorkerCancel,
    WorkerResult,
    WorkerRun,
)
from studio9_common.contracts.reasons import reason
from studio9_common.contracts.waiting import why_waiting
from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_common.tokens import TokenKeys
from studio9_orion.app import build
from studio9_orion.settings import OrionSettings


@dataclass
class Servers:
    """A broker of its own (a virtual host), Aries over indexes of its own, and Orions."""

    bus: Bus
    store: AriesClient
    orions: list[Any]

    async def send(self, data: Message, organisation: str = "acme") -> None:
        await self.bus.publish(encode(data, source="test", organisation=organisation))

    async def until(self, id: str, *phases: Phase, fence: int = 0, timeout_s: float = 40) -> Job:
        async with asyncio.timeout(timeout_s):
            while True:
                found = (await self.store.get_jobs([id]))[0]
                if found is not None and found[0].phase in phases and found[0].fence >= fence:
                    return found[0]
                await asyncio.sleep(0.1)


class Worker:
    """Takes runs; finishes them at once if `quick`, else keeps them until told."""

    def __init__(self, servers: Servers, name: str, *, slots: int = 2, quick: bool = True) -> None:
        self.servers, self.name, self.slots, self.quick = servers, name, slots, quick
        self.queue = Queue(f"worker.{name}.v1", (f"worker.*.{name}",), expires_s=60)
        self.held: dict[str, WorkerRun] = {}
        self.begun: list[tuple[str, int]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.servers.bus.declare(self.queue)
        self.tasks = [asyncio.create_task(self._take()), asyncio.create_task(self._beat())]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def result(self, run: WorkerRun | WorkerCancel, outcome: Any, **given: Any) -> None:
        attempt = run.attempt if isinstance(run, WorkerRun) else 1
        about: dict[str, Any] = {"worker": self.name, "job": run.job, "organisation": "acme", "fence": run.fence}
        await self.servers.send(WorkerResult(attempt=attempt, outcome=outcome, **about, **given))

    async def _take(self) -> None:
        async with self.servers.bus.consume(self.queue.name) as consumer:
            while True:
                for delivery in await consumer.get(8):
                    await self._do(decode(delivery.body).data)
                    await delivery.ack()

    async def _do(self, data: Message) -> None:
        if isinstance(data, WorkerRun):
            if len(self.held) >= self.slots:
                await self.result(data, "refused", reason=reason("no_slot"))
                return
            self.begun.append((data.job, data.fence))
            if self.quick:
                await self.result(data, "succeeded")
            else:
                self.held[data.job] = data
        if isinstance(data, WorkerCancel):
            self.held.pop(data.job, None)
            await self.result(data, "cancelled")

    async def _beat(self) -> None:
        number = 0
        while True:
            number += 1
            jobs: list[str | None] = [*self.held, *[None] * self.slots]
            attempts = tuple(
                AttemptBeat(job=run.job, organisation="acme", fence=run.fence, sequence=number, phase="running")
                for run in self.held.values()
            )
            slots = tuple(Slot(id=f"s{n}", job=jobs[n]) for n in range(self.slots))
            beat = WorkerBeat(worker=self.name, instance="i", sequence=number, slots=slots, attempts=attempts)
            await self.servers.send(beat, "system")
            await asyncio.sleep(0.5)


@pytest.fixture
async def servers(
    tmp_path: Path, rabbitmq_url: str, rabbitmq_management_url: str, elasticsearch_url: str
) -> AsyncIterator[Servers]:
    name = f"orion-{new_id()}"
    parts = urlsplit(rabbitmq_management_url)
    host = f"{parts.scheme}://{parts.hostname}:{parts.port}/api/vhosts/{name}"
    login = (parts.username or "", parts.password or "")
    async with httpx.AsyncClient(auth=login, timeout=30) as http:
        (await http.put(host)).raise_for_status()
        bus = await open_bus(urlsplit(rabbitmq_url)._replace(path=f"/{name}").geturl(), name="test")
        documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=name)
        keys = TokenKeys(TokenKeys.generate())
        aries = build_aries(AriesSettings(), documents=documents, keys=keys)
        await aries.start()
        store = AriesClient(aries.asgi, service="orion", keys=keys)
        objects = LocalObjects(tmp_path / "objects", base_url="http://127.0.0.1/objects")
        settings = OrionSettings(lease_s=4, tick_s=1, back_off_s=(0.2,))
        orions = [build(settings, bus=bus, store=store, objects=objects, keys=keys) for _ in range(2)]
        for orion in orions:
            await orion.start()
        yield Servers(bus, store, orions)
        for orion in orions:
            await orion.stop()
        await store.close()
        await aries.stop()
        for family in COLLECTIONS:
            for index in await documents.indexes(family):
                await documents.drop(index)
        await documents.forget(*COLLECTIONS)
        await documents.close()
        await objects.close()
        await bus.close()
        await http.delete(host)


def request(**changes: Any) -> JobRequested:
    given: dict[str, Any] = {"job": new_id(), "owner": "ana", "spec": Spec(kind="train")}
    return JobRequested(**(given | changes))


async def test_every_job_runs_once(servers: Servers) -> None:
    workers = [Worker(servers, f"w{n}-{new_id()}") for n in range(2)]
    for worker in workers:
        await worker.start()
    wanted = [request() for _ in range(40)]
    for message in wanted:
        await servers.send(message)
        await servers.send(message)
    for message in wanted:
        job = await servers.until(message.job, Phase.clean)
        assert (job.state, len(job.attempts)) == (State.completed, 1)
        assert job.result is not None
    begun = [one for worker in workers for one in worker.begun]
    assert len(begun) == len(set(begun)) == 40
    for worker in workers:
        await worker.stop()


async def test_a_dead_worker_a_cancel_and_a_job_that_waits(servers: Servers) -> None:
    first, second = Worker(servers, f"a-{new_id()}", quick=False), Worker(servers, f"b-{new_id()}", quick=False)
    await first.start()
    wanted, waiting = request(), request(spec=Spec(kind="train", requirements=Requirements(gpus=1)))
    await servers.send(wanted)
    await servers.send(waiting)
    await servers.until(wanted.job, Phase.running)
    await first.stop()
    await second.start()
    job = await servers.until(wanted.job, Phase.running, fence=2)
    assert [attempt.outcome for attempt in job.attempts] == ["lost", None]
    await servers.send(JobCancel(job=wanted.job, requested_by="ana"))
    assert (await servers.until(wanted.job, Phase.clean)).state is State.cancelled
    taken = await servers.store.get(SCHEDULER.name, "snapshot:default")
    job = await servers.until(waiting.job, Phase.queued)
    assert why_waiting(job, taken.body["snapshot"]) == "needs 1 GPU; no worker has a slot like that"
    await second.stop()


async def test_every_queue_is_deleted_in_the_middle(servers: Servers) -> None:
    worker = Worker(servers, f"w-{new_id()}", quick=False)
    await worker.start()
    wanted = request()
    await servers.send(wanted)
    await servers.until(wanted.job, Phase.running)
    for name in ("requests", "beats", "results", "telemetry", "clean", "schedule"):
        await servers.bus.delete(f"orion.{name}.v1")
    job = await servers.until(wanted.job, Phase.running)
    while job.phase is not Phase.clean:
        await worker.result(worker.held[wanted.job], "succeeded")
        await asyncio.sleep(0.5)
        job = await servers.until(wanted.job, Phase.running, Phase.cleaning, Phase.clean)
    assert (job.state, job.fence) == (State.completed, 1)
    await worker.stop()
