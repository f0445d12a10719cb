"""The whole service on the embedded parts: jobs through queues, workers that behave, die, come back, or refuse."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from studio9_common.bus.port import Queue
from studio9_common.contracts.collections import BEATS, SWEEPS, TELEMETRY, WORKERS
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import TERMINAL, Input, Job, ObjectRef, Phase, Requirements, Spec, State
from studio9_common.contracts.messages import (
    AttemptBeat,
    JobCancel,
    JobOutput,
    JobRequested,
    Slot,
    TelemetryItem,
    WorkerBeat,
    WorkerCancel,
    WorkerLease,
    WorkerResult,
    WorkerRun,
    WorkerTelemetry,
)
from studio9_common.contracts.reasons import reason
from studio9_common.documents.port import Where
from studio9_common.ids import new_id
from studio9_common.times import SystemClock, format_time
from studio9_orion.hearing import MARK
from studio9_orion.store import get

FAST: dict[str, Any] = {"clock": SystemClock()}


class FakeWorker:
    """A worker's side of the protocol: beats, and whatever the test lets it do with each run."""

    def __init__(self, world: Any, name: str, slots: int = 1, kind: Any = "cpu") -> None:
        self.world, self.name, self.slots, self.kind = world, name, slots, kind
        self.queue = Queue(f"worker.{name}.v1", (f"worker.*.{name}",), expires_s=60)
        self.running: dict[str, WorkerRun] = {}
        self.runs: list[WorkerRun] = []
        self.cancels: list[WorkerCancel] = []
        self.leases: list[WorkerLease] = []
        self.phase: Any = "running"
        self.beats = 0
        self.extra: dict[str, Any] = {}
        self.runners: tuple[str, ...] = ("process",)
        self.on_run: Callable[[WorkerRun], Any] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, beat_s: float = 0.1) -> None:
        await self.world.bus.declare(self.queue)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat(beat_s))]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def beat(self) -> None:
        self.beats += 1
        jobs: list[str | None] = [*self.running, *[None] * self.slots]
        slots = tuple(Slot(id=f"s{n}", kind=self.kind, gpu_memory_free_gib=24, job=jobs[n]) for n in range(self.slots))
        attempts = tuple(
            AttemptBeat(job=run.job, organisation="acme", fence=run.fence, sequence=self.beats, phase=self.phase,
                        progress=min(self.beats / 100, 1.0), **self.extra)
            for run in self.running.values()
        )  # fmt: skip
        announcement = {"trainers": ["yolo"]} if self.beats == 1 else None
        await self.world.send(
            WorkerBeat(worker=self.name, instance="i1", sequence=self.beats, slots=slots, attempts=attempts,
                       announcement=announcement, runners=self.runners),
            "system",
        )  # fmt: skip

    async def result(self, run: WorkerRun, outcome: Any = "succeeded", **changes: Any) -> None:
        self.running.pop(run.job, None)
        await self.world.send(
            WorkerResult(worker=self.name, job=run.job, organisation="acme", attempt=run.attempt, fence=run.fence,
                         outcome=outcome, **changes)
        )  # fmt: skip

    async def _listen(self) -> None:
        async with self.world.bus.consume(self.queue.name) as consumer:
            while True:
                for delivery in await consumer.get(16):
                    await self._take(decode(delivery.body).data)
                    await delivery.ack()

    async def _take(self, data: Any) -> None:
        if isinstance(data, WorkerLease):
            self.leases.append(data)
        elif isinstance(data, WorkerCancel):
            self.cancels.append(data)
            run = self.running.get(data.job)
            if run is not None and run.fence == data.fence:
                await self.result(run, "cancelled")
        elif isinstance(data, WorkerRun):
            self.runs.append(data)
            if len(self.running) >= self.slots:
                await self.result(data, "refused", reason=reason("no_slot"))
                return
            self.running[data.job] = data
            if self.on_run is not None:
                await self.on_run(data)

    async def _beat(self, beat_s: float) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(beat_s)


@pytest.fixture
async def worker(world: Any) -> AsyncIterator[Callable[..., Any]]:
    made: list[FakeWorker] = []

    def make(*args: Any, **given: Any) -> FakeWorker:
        made.append(FakeWorker(world, *args, **given))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def orion(world: Any) -> AsyncIterator[Callable[..., Any]]:
    """Starts an Orion in real time; stops it at the end."""
    started: list[Any] = []

    async def make(**settings: Any) -> Any:
        service = world.orion(clock=SystemClock(), **settings)
        await service.start()
        started.append(service)
        return service

    yield make
    for service in started:
        await service.stop()


def request(**changes: Any) -> JobRequested:
    given: dict[str, Any] = {"job": new_id(), "owner": "ana", "spec": Spec(kind="train"), "context": {"e": "1"}}
    return JobRequested(**(given | changes))


async def eventually(check: Callable[[], Any], timeout_s: float = 60) -> Any:
    """The first true answer of a check (a coroutine function)."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = await check()
            if answer:
                return answer
            await asyncio.sleep(0.02)


async def until(world: Any, id: str, what: Callable[[Job], bool], timeout_s: float = 60) -> Job:
    async with asyncio.timeout(timeout_s):
        while True:
            found = (await world.store.get_jobs([id]))[0]
            if found is not None and what(found[0]):
                return found[0]  # type: ignore[no-any-return]
            await asyncio.sleep(0.02)


async def test_a_job_from_request_to_clean(world: Any, orion: Any, worker: Any) -> None:
    events = await world.listen("events", "job.#")
    one = worker("w1")
    await one.start()
    await orion()
    wanted = request()
    await world.objects.put(f"acme/scratch/{wanted.job}/x", b"x")
    await world.send(wanted)
    job = await until(world, wanted.job, lambda job: job.phase is Phase.running)
    assert job.attempts[0].worker == "w1"
    run = one.runs[0]
    assert (run.spec, run.fence, run.attempt) == (wanted.spec, 1, 1)
    manifest = await world.objects.put(f"acme/jobs/{job.id}/1/manifest.json", b"{}")
    ref = ObjectRef(key=manifest.key, sha256=manifest.sha256, size=manifest.size)
    one.phase = "ended"
    await one.result(run, manifest=ref, summary={"map50": 0.9})
    one.running[run.job] = run
    job = await until(world, wanted.job, lambda job: job.phase is Phase.clean)
    assert job.state is State.completed
    assert [info.key async for info in world.objects.list(f"acme/scratch/{job.id}/")] == []
    assert (await world.objects.head(ref.key)).size == 2, "the result stays"
    assert job.result.summary == {"map50": 0.9}

    async def confirmed() -> bool:
        return any(lease.decision == "confirmed" for answer in one.leases for lease in answer.leases)

    await eventually(confirmed)
    types = [message.routing_key for message in await world.take(events)]
    ordered = [name for name in types if name not in {"job.progress", "job.clean"}]
    assert ordered == ["job.requested", "job.accepted", "job.queued", "job.started", "job.completed"]
    assert "job.progress" in types


async def test_workers_are_known_by_their_beats(world: Any, orion: Any, worker: Any) -> None:
    one = worker("w1", slots=2)
    await orion()
    await one.start()

    async def known() -> Any:
        return await world.store.find(WORKERS.name, "w1") if one.beats > 3 else None

    found = await eventually(known)
    assert found.body["catalogue"] == {"trainers": ["yolo"]}
    assert (found.body["state"], len(found.body["slots"])) == ("ready", 2)


async def test_a_worker_that_dies_is_replaced_and_the_job_resumes(world: Any, orion: Any, worker: Any) -> None:
    checkpoint = ObjectRef(key="acme/jobs/j/1/last.pt", sha256="1" * 64, size=7)
    first, second = worker("w1"), worker("w2")
    first.extra = {"checkpoint": checkpoint}
    await orion(lease_s=1, back_off_s=(0.1,))
    await first.start()
    wanted = request()
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.checkpoint is not None)
    await first.stop()
    await second.start()
    job = await until(world, wanted.job, lambda job: job.fence == 2 and job.phase is Phase.running)
    assert [attempt.outcome for attempt in job.attempts] == ["lost", None]
    assert second.runs[0].resume == checkpoint
    await second.result(second.runs[0])
    job = await until(world, wanted.job, lambda job: job.phase is Phase.clean)
    assert job.state is State.completed
    hits = await world.store.search(BEATS.name, Where(equals={"job": wanted.job}), fresh=True)
    assert hits.items == []


async def judged(world: Any, since: str) -> None:
    """Until a sweep has finished that was free to call a silence a loss: after the lease that the gap has granted."""
    async with asyncio.timeout(15):
        while True:
            mark = await get(world.store, SWEEPS.name, MARK)
            finished, deaf = (mark.body["finished_at"], mark.body["detail"].get("deaf_until")) if mark else ("", None)
            if deaf is not None and finished > deaf > since:
                return
            await asyncio.sleep(0.02)


async def test_an_outage_of_every_orion_loses_no_running_job(world: Any, orion: Any, worker: Any) -> None:
    one = worker("w1")
    service = await orion(lease_s=1)
    await one.start()
    wanted = request()
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.phase is Phase.running)
    await service.stop()
    await asyncio.sleep(1.5)  # longer than the lease: that nobody heard the beats is what counts
    since = format_time(datetime.now(UTC))
    await orion(lease_s=1)
    await judged(world, since)
    job = await world.job(wanted.job)
    assert (job.phase, job.fence, job.attempts[0].outcome) == (Phase.running, 1, None)


async def test_cancel_while_it_runs_and_before_it_is_known(world: Any, orion: Any, worker: Any) -> None:
    one = worker("w1")
    await orion()
    await one.start()
    wanted = request()
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.phase is Phase.running)
    await world.send(JobCancel(job=wanted.job, requested_by="ana"))
    job = await until(world, wanted.job, lambda job: job.state in TERMINAL)
    assert (job.state, one.cancels[0].fence) == (State.cancelled, 1)
    early = request()
    await world.send(JobCancel(job=early.job, requested_by="ana"))
    await until(world, early.job, lambda job: job.state is State.cancelled)
    await world.send(early)
    job = await until(world, early.job, lambda job: job.spec.kind == "train")
    assert (job.state, [run.job for run in one.runs]) == (State.cancelled, [wanted.job])


async def test_two_orions_run_every_job_once(world: Any, orion: Any, worker: Any) -> None:
    workers = [worker("w1", slots=2), worker("w2", slots=2)]
    for one in workers:
        one.on_run = one.result
        await one.start()
    await orion()
    await orion()
    wanted = [request() for _ in range(30)]
    for message in wanted:
        await world.send(message)
        await world.send(message)
    for message in wanted:
        job = await until(world, message.job, lambda job: job.phase is Phase.clean, 30)
        assert (job.state, len(job.attempts)) == (State.completed, 1)
    begun = [(run.job, run.fence) for one in workers for run in one.runs]
    assert len(begun) == len(set(begun)), "no attempt was begun twice"


async def test_a_job_that_no_slot_fits_says_why_and_a_new_worker_takes_it(world: Any, orion: Any, worker: Any) -> None:
    service = await orion()
    one = worker("cpu")
    await one.start()
    wanted = request(spec=Spec(kind="train", requirements=Requirements(gpus=1, gpu_memory_gib=24)))
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.phase is Phase.queued)
    await service.scheduler.tick()
    big = worker("gpu", kind="gpu")
    await big.start()
    job = await until(world, wanted.job, lambda job: job.phase is Phase.running)
    assert job.attempts[0].worker == "gpu"


async def test_every_queue_deleted_in_the_middle(world: Any, orion: Any, worker: Any) -> None:
    one = worker("w1")
    await one.start()
    await orion()
    wanted = [request() for _ in range(3)]
    await world.send(wanted[0])
    await until(world, wanted[0].job, lambda job: job.phase is Phase.running)
    for name in ("requests", "beats", "results", "telemetry", "clean", "schedule"):
        await world.bus.delete(f"orion.{name}.v1")
    async with asyncio.timeout(10):
        while True:
            try:
                await world.send(wanted[1])
                if (await world.store.get_jobs([wanted[1].job]))[0]:
                    break
            except Exception:
                pass
            await asyncio.sleep(0.1)
    one.on_run = one.result
    await one.result(one.runs[0])
    for message in wanted[:2]:
        job = await until(world, message.job, lambda job: job.state in TERMINAL)
        assert job.state is State.completed


async def test_telemetry_is_kept_for_known_jobs_only(world: Any, orion: Any) -> None:
    await orion()
    wanted = request()
    await world.send(wanted)
    await until(world, wanted.job, lambda job: True)
    item = TelemetryItem(kind="metric", time="2026-11-21T10:00:00.000000Z", key="map50", value=0.5, step=1)
    given: dict[str, Any] = {"worker": "w1", "fence": 1, "items": (item,)}
    stranger = new_id()
    for job, organisation, sequence in ((wanted.job, "acme", 1), (wanted.job, "evil", 2), (stranger, "acme", 1)):
        await world.send(WorkerTelemetry(job=job, organisation=organisation, sequence=sequence, **given))
    await eventually(lambda: world.store.find(TELEMETRY.name, f"{wanted.job}:1:1"))
    found = await world.store.get_many(TELEMETRY.name, [f"{wanted.job}:1:2", f"{stranger}:1:1"])
    assert found == [None, None]


async def test_a_prediction_waits_for_the_warehouse(world: Any, orion: Any, worker: Any) -> None:
    one = worker("w1")
    one.on_run = one.result
    await one.start()
    await orion()
    wanted = request(spec=Spec(kind="predict"))
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.state is State.completed)
    await world.send(JobOutput(job=wanted.job, output="predictions", state="loading"))
    await world.send(JobOutput(job=wanted.job, output="predictions", state="loaded", rows=7))
    job = await until(world, wanted.job, lambda job: job.phase is Phase.clean)
    assert job.outputs["predictions"].rows == 7


async def test_a_worker_speaks_for_itself_alone(world: Any, orion: Any, worker: Any) -> None:
    """A result that somebody else sends in its name becomes a dead letter, and the job goes on."""
    one = worker("w1")
    await one.start()
    await orion()
    wanted = request()
    await world.send(wanted)
    await until(world, wanted.job, lambda job: job.phase is Phase.running)
    run = one.runs[0]
    result = WorkerResult(
        worker="w1", job=run.job, organisation="acme", attempt=1, fence=run.fence, outcome="failed",
        reason=reason("task_failed"),
    )  # fmt: skip
    forged = encode(result, source="worker", organisation="acme")
    await world.bus.publish(replace(forged, routing_key="worker.result.w2"))

    async def given_up() -> bool:
        return any("w2 sent" in one.reason and "the name of w1" in one.reason for one in await world.bus.dead_letters())

    await eventually(given_up)
    assert (await world.job(wanted.job)).phase is Phase.running
    await one.result(run)
    job = await until(world, wanted.job, lambda job: job.phase is Phase.clean)
    assert job.state is State.completed


async def test_code_of_ones_own_goes_to_a_worker_with_containers(world: Any, orion: Any, worker: Any) -> None:
    """One that runs child processes never gets it, however free it is."""
    plain, sealed = worker("w1", slots=4), worker("w2")
    sealed.runners = ("container",)
    await plain.start()
    await orion()
    code = Input(name="code", kind="file", ref=ObjectRef(key="acme/code/1.zip", sha256="0" * 64, size=1))
    own = request(spec=Spec(kind="train", framework="custom", inputs=(code,)))
    usual = request()
    await world.send(own)
    await until(world, own.job, lambda job: job.phase is Phase.queued)
    await world.send(usual)
    await until(world, usual.job, lambda job: job.phase is Phase.running)
    assert (await world.store.get_jobs([own.job]))[0][0].phase is Phase.queued
    await sealed.start()
    job = await until(world, own.job, lambda job: job.phase is Phase.running)
    assert job.attempts[0].worker == "w2"
    assert [run.job for run in plain.runs] == [usual.job]
