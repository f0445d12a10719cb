"""Scheduling: 10,000 waiting jobs of 100 organisations, 200 slots; in memory, and carried through broker and store.

In memory: passes that give away whatever is free, and the view's moving on with each assignment (the job leaves the
queue, holds its slots, counts for its organisation and project); the reference is one bare heap of the same jobs,
without shares, limits, requirements or places. Carried: the real loop in this process, Aries in a process of its own;
each decision is a conditional write with its command, which the broker confirms. The reference: the same documents in
conditional `_bulk` writes of the bare client. Then another takes the lead over, with as many jobs waiting.
"""

import asyncio
import heapq
import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from elasticsearch import AsyncElasticsearch

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.deployed import Deployed
from studio9_common.bus import Bus, Queue, open_bus
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import job_document
from studio9_common.contracts.job import Attempt, Job, Phase, Requirements, Spec
from studio9_common.contracts.messages import Slot
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.logs import configure_logs
from studio9_common.times import SystemClock, format_time
from studio9_orion.beats import Beats
from studio9_orion.core import Policy
from studio9_orion.core.events import Requested, Unroutable
from studio9_orion.engine import LEAD_SHARE
from studio9_orion.jobs import Jobs
from studio9_orion.observing import Unobserved
from studio9_orion.providers.workers import WorkersProvider
from studio9_orion.rendering import scheduler_call
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.leader import Leader
from studio9_orion.scheduler.ledger import Ledger
from studio9_orion.scheduler.loop import Scheduler
from studio9_orion.scheduler.model import candidate
from studio9_orion.scheduler.rules import Rules
from studio9_orion.scheduler.view import View
from studio9_orion.sender import Sender
from studio9_orion.settings import OrionSettings
from studio9_orion.shell import Shell
from studio9_orion.workers import Worker, Workers

NEEDS = ("rabbitmq", "elasticsearch")
QUEUED, QUICK_QUEUED = 10_000, 400
ORGANISATIONS, WORKERS, SLOTS = 100, 25, 8
LEASE_S = 1e6
SUBMIT = 500
SHAPES = (
    (Requirements(), "cpu"),
    (Requirements(gpus=1, gpu_memory_gib=8), "gpu-training"),
    (Requirements(gpus=1, gpu_memory_gib=20), "gpu-training"),
)
RULES = Rules(weights={f"o{n}": 2.0 for n in range(0, ORGANISATIONS, 10)}, limit=50, project_limit=30)
INBOX = Queue("bench.runs.v1", ("worker.run.*",), transient=True, message_ttl_s=5)


async def run(bench: Bench) -> list[Figure]:
    """All four figures."""
    configure_logs("warning", "json")
    memory = InMemory(QUICK_QUEUED if bench.quick else QUEUED)
    decisions = await bench.paired(
        "decisions_per_s",
        "decisions/s",
        memory.decide,
        Heap(memory.waiting).decide,
        against="one heap of the same jobs, popped and pushed",
        goal=5_000,
    )
    return [decisions, memory.passes(), *await _carried(bench)]


# --- in memory -----------------------------------------------------------------------------------------------------


class InMemory:
    """The scheduler's view and its passes, without store and bus. What was assigned ends at once, and as many new jobs
    come as were served."""

    def __init__(self, queued: int) -> None:
        self._view, self._rng = View(), random.Random(1)
        self._ledger = Ledger(_NoStore(), SystemClock())
        self._jobs = {job.id: job for job in itertools.islice(_jobs(self._rng), queued)}
        self._fresh = _jobs(self._rng)
        self._seconds: list[float] = []
        now = SystemClock().now()
        for worker in _workers(format_time(now)):
            self._view.show(worker)
        self._view.take(self._jobs.values(), now)

    @property
    def waiting(self) -> list[Job]:
        return list(self._jobs.values())

    async def decide(self, seconds: float) -> float:
        """Passes with all slots free, and with one to all of them free, by turns."""
        decided, spent, started = 0, 0.0, time.perf_counter()
        for turn in itertools.count():
            if time.perf_counter() - started >= seconds:
                break
            most = WORKERS * SLOTS if turn % 2 else self._rng.randint(1, WORKERS * SLOTS)
            began = time.perf_counter()
            assigned = self._pass(most)
            spent += time.perf_counter() - began
            decided += len(assigned)
            self._turn_over(assigned)
            await asyncio.sleep(0)
        return decided / spent

    def passes(self) -> Figure:
        """How long the passes took, moving on included."""
        ordered = sorted(self._seconds)
        p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
        return Figure(
            "pass_p99_ms",
            "ms",
            p99 * 1e3,
            goal=100,
            at_most=True,
            extra={
                "p50_ms": statistics.median(ordered) * 1e3,
                "most_ms": ordered[-1] * 1e3,
                "passes": len(ordered),
                "queued": len(self._jobs),
                "slots": WORKERS * SLOTS,
            },
        )

    def _pass(self, most: int) -> list[Job]:
        began = time.perf_counter()
        view, now = self._view, SystemClock().now()
        view.queue.wake(format_time(now))
        shares = self._ledger.count(now, view.spent(now), view.waiting(), view.active(), view.shares({}, RULES))
        plan = schedule(view.queue, view.places(now, LEASE_S), shares, most=most)
        time_ = format_time(now)
        moved = [_assigned(self._jobs[one.job], one.worker, time_) for one in plan.assignments]
        view.take(moved, now)
        self._seconds.append(time.perf_counter() - began)
        return moved

    def _turn_over(self, assigned: Sequence[Job]) -> None:
        now = SystemClock().now()
        for job in assigned:
            self._view.over(job.id, now)
            del self._jobs[job.id]
        new = list(itertools.islice(self._fresh, len(assigned)))
        self._jobs |= {job.id: job for job in new}
        self._view.take(new, now)


class Heap:
    """The bare floor: priority, then first come first served, in one heap."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._heap = [(candidate(job).order, job.id) for job in jobs]
        heapq.heapify(self._heap)

    async def decide(self, seconds: float) -> float:
        started, done, held = time.perf_counter(), 0, dict[str, str]()
        while time.perf_counter() - started < seconds:
            taken = [heapq.heappop(self._heap) for _ in range(WORKERS * SLOTS)]
            held |= {id: "w0" for _, id in taken}
            for order, id in taken:
                del held[id]
                heapq.heappush(self._heap, (order, id))
            done += len(taken)
            await asyncio.sleep(0)
        return done / (time.perf_counter() - started)


class _NoStore:
    """The ledger of the passes in memory is neither loaded nor saved."""

    def __getattr__(self, name: str) -> Any:
        raise Studio9Error(f"a pass in memory has no store to {name}")


def _jobs(rng: random.Random) -> Iterator[Job]:
    """Waiting jobs of all organisations, shapes and priorities."""
    for n in itertools.count():
        needs, name = SHAPES[rng.randrange(len(SHAPES))]
        time_ = format_time(datetime.now(UTC))
        yield Job(
            id=new_id(),
            organisation=f"o{n % ORGANISATIONS}",
            project=f"p{rng.randrange(3)}",
            owner="bench",
            spec=Spec(kind="train", requirements=needs),
            request_hash="bench",
            priority=rng.randrange(-2, 3),
            priority_class=name,
            phase=Phase.queued,
            created_at=time_,
            updated_at=time_,
            queued_at=time_,
        )


def _assigned(job: Job, worker: str, time_: str) -> Job:
    attempt = Attempt(number=1, fence=1, worker=worker, assigned_at=time_)
    return replace(job, phase=Phase.assigned, fence=1, attempts=(attempt,))


def _workers(time_: str) -> list[Worker]:
    """Three of five have GPUs, of 24 GiB."""
    kinds: list[Any] = ["gpu" if n % 5 < 3 else "cpu" for n in range(WORKERS)]
    return [
        Worker(
            f"w{n:02}",
            "ready",
            time_,
            tuple(
                Slot(id=str(s), kind=kind, gpu_memory_gib=24.0, gpu_memory_free_gib=22.5)
                if kind == "gpu"
                else Slot(id=str(s))
                for s in range(SLOTS)
            ),
        )
        for n, kind in enumerate(kinds)
    ]


# --- carried through broker and store ------------------------------------------------------------------------------


class Carried(Unobserved):
    """The real loop over the bus and Aries. What was assigned goes back into the queue, outside the measured time."""

    def __init__(self, bus: Bus, store: AriesClient, name: str = "bench") -> None:
        self.clock = SystemClock()
        self.policy = Policy(lease_s=LEASE_S, refused_s=0.0)
        jobs, beats, workers = Jobs(store), Beats(store), Workers(store)
        provider = WorkersProvider(bus, beats, workers, self.clock, self.policy)
        self.shell = Shell(jobs, Sender(bus, {"workers": provider}, self.policy), self.clock, self.policy, self)
        leader = Leader(store, self.clock, name=name, stale_s=LEASE_S)
        self.scheduler = Scheduler(self.shell, workers, leader, rules=lambda: RULES, full_read_s=LEASE_S)
        self.assigned: list[Job] = []
        self._news: Any = SimpleNamespace(body=scheduler_call(name, queued=("some",)).body)
        """Word that a job waits: it makes a pass."""

    def stepped(self, job: Job, after: int) -> None:
        if job.phase is Phase.assigned:
            self.assigned.append(job)

    async def submit(self, jobs: Sequence[Job]) -> None:
        for start in range(0, len(jobs), SUBMIT):
            await self.shell.apply([(job.id, _requested(job)) for job in jobs[start : start + SUBMIT]])

    async def lead(self) -> float:
        """Takes the lead; the seconds of the full read."""
        began = time.perf_counter()
        await self.scheduler.tick()
        seconds = time.perf_counter() - began
        self.scheduler.notice(_workers(format_time(self.clock.now())))
        return seconds

    async def take_over(self) -> float:
        """Is called upon while another leads, with all slots free; the seconds until all of them are given away."""
        self.scheduler.notice(_workers(format_time(self.clock.now())))
        began = time.perf_counter()
        await self.scheduler.handle([])
        return time.perf_counter() - began

    async def decide(self, seconds: float) -> float:
        """Passes in which all slots are free; each awaits the writes and the confirms."""
        decided, spent, started = 0, 0.0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            began = time.perf_counter()
            await self.scheduler.handle([self._news])
            spent += time.perf_counter() - began
            decided += len(self.assigned)
            given, self.assigned = self.assigned, []
            back = await self.shell.apply([(job.id, Unroutable(fence=job.fence)) for job in given])
            for job in back.jobs.values():
                self.scheduler.stepped(job)
        return decided / spent


async def _carried(bench: Bench) -> list[Figure]:
    queued = QUICK_QUEUED if bench.quick else QUEUED
    async with Deployed(bench, ("aries",)) as alone:
        bus, store = await open_bus(alone.bus_url, name="bench"), alone.aries()
        bare = AsyncElasticsearch(alone.store_url, request_timeout=30)
        try:
            await bus.declare(INBOX)
            carried = Carried(bus, store)
            jobs = list(itertools.islice(_jobs(random.Random(2)), queued))
            await carried.submit(jobs)
            full_read_s = await carried.lead()
            straight = Straight(bare, f"{alone.name}-bare", jobs[: WORKERS * SLOTS])
            await straight.prepare()
            figure = await bench.paired(
                "carried_per_s",
                "decisions/s",
                carried.decide,
                straight.decide,
                against="conditional _bulk writes of the bare client",
                pairs=3,
            )
            next_ = Carried(bus, store, "next")
            read_s = await next_.take_over()
            if len(next_.assigned) < min(queued, WORKERS * SLOTS) / 2:
                raise Studio9Error(f"whoever took over assigned {len(next_.assigned)} jobs")
            return [
                replace(figure, extra={**figure.extra, "queued": queued, "full_read_s": full_read_s}),
                _takeover(queued, read_s),
            ]
        finally:
            await bare.close()
            await store.close()
            await bus.close()


def _takeover(queued: int, read_s: float) -> Figure:
    """From a kill of the leader, which its broker sees at once: the longest time until another calls, and then reads
    all that waits and gives the slots away. Of a frozen one the wait is two to three ticks instead."""
    tick_s = OrionSettings().tick_s
    wait_s = LEAD_SHARE * tick_s
    extra = {"queued": queued, "until_called_s": wait_s, "read_and_decide_s": read_s, "frozen_s": 3 * tick_s + read_s}
    return Figure("takeover_s", "s", wait_s + read_s, goal=5, at_most=True, extra=extra)


class Straight:
    """The same documents, written by compare-and-set straight to the store."""

    def __init__(self, bare: AsyncElasticsearch, place: str, jobs: Sequence[Job]) -> None:
        self._bare, self._place = bare, place
        self._bodies = {job.id: {"id": job.id, "body": job_document(job)} for job in jobs}
        self._versions: dict[str, tuple[int, int]] = {}

    async def prepare(self) -> None:
        mappings = {"dynamic": False}
        await self._bare.indices.create(index=self._place, mappings=mappings, settings={"number_of_replicas": 0})
        await self._write()

    async def decide(self, seconds: float) -> float:
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            done += await self._write()
        return done / (time.perf_counter() - started)

    async def _write(self) -> int:
        operations: list[dict[str, Any]] = []
        for id, body in self._bodies.items():
            action: dict[str, Any] = {"_index": self._place, "_id": id}
            if id in self._versions:
                action["if_seq_no"], action["if_primary_term"] = self._versions[id]
            operations += ({"index": action}, body)
        answer = await self._bare.bulk(operations=operations)
        if answer["errors"]:
            raise Studio9Error("the store refused a write")
        for item in answer["items"]:
            told = item["index"]
            self._versions[told["_id"]] = (told["_seq_no"], told["_primary_term"])
        return len(self._bodies)


def _requested(job: Job) -> Requested:
    return Requested(
        job=job.id,
        organisation=job.organisation,
        owner=job.owner,
        spec=job.spec,
        request_hash=job.request_hash,
        project=job.project,
        priority=job.priority,
        priority_class=job.priority_class,
    )
