"""Supervision on RabbitMQ and Elasticsearch: what Orion and Aries take for 250 workers with 8 running attempts each.

Every simulated worker beats every 5 s, spread evenly, each time with new progress and metrics, and is answered with
leases. After everything runs a window is measured: CPU of Orion and Aries (`core_share`, of one core; broker and store
beside it) and what their memory grew over the idle platform. `supervised_jobs`: how many jobs, at the end of the
window, are still at their first attempt, with a lease that holds.
"""

import asyncio
import time
from collections import Counter

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.deployed import Deployed
from studio9_common.bus import Bus, Queue, open_bus
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import SYSTEM, decode, encode
from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import AttemptBeat, JobRequested, Slot, WorkerBeat, WorkerLease, WorkerRun
from studio9_common.documents.port import Where
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.tasks import end
from studio9_common.times import SystemClock, format_time

NEEDS = ("rabbitmq", "elasticsearch")
WORKERS, QUICK_WORKERS = 250, 5
ATTEMPTS = 8
BEAT_S = 5.0
LEASE_S = 20.0
IDLE_S, SETTLE_S, WINDOW_S = 20.0, 20.0, 60.0
QUICK_S = 6.0
START_S = 240.0
"""Longest time until every job runs."""
PROCESSES = ("orion", "aries")
INBOX = Queue("bench.workers.v1", ("worker.run.*", "worker.lease.*", "worker.cancel.*"))


async def run(bench: Bench) -> list[Figure]:
    """All three figures."""
    count = QUICK_WORKERS if bench.quick else WORKERS
    idle_s, settle_s, window_s = (QUICK_S,) * 3 if bench.quick else (IDLE_S, SETTLE_S, WINDOW_S)
    async with Deployed(bench) as deployed:
        bus = await open_bus(deployed.bus_url, name="bench")
        store = deployed.aries()
        workers = Workers(bus, count)
        try:
            await workers.start()
            await asyncio.sleep(idle_s)
            idle = {name: deployed.usage(name) for name in PROCESSES}
            await submit(bus, count * ATTEMPTS)
            await until_running(workers, store, count * ATTEMPTS)
            await asyncio.sleep(settle_s)
            shares = await _window(deployed, workers, window_s)
            grown = {name: deployed.usage(name).mib - idle[name].mib for name in PROCESSES}
            supervised = await _supervised(store)
        finally:
            await workers.stop()
            await store.close()
            await bus.close()
    told = {"cancelled": workers.cancelled, "answers": dict(workers.answers), "workers": count, "beat_s": BEAT_S}
    goal = None if bench.quick else float(WORKERS * ATTEMPTS)
    own = sum(shares[name] for name in PROCESSES)
    return [
        Figure("supervised_jobs", "jobs", supervised, goal=goal, extra=told),
        Figure("core_share", "cores", own, goal=0.35, at_most=True, extra={"core_share_of": shares}),
        Figure(
            "mib_per_job",
            "MiB",
            max(0.0, sum(grown.values()) / (count * ATTEMPTS)),
            goal=0.05,
            at_most=True,
            extra={"grown_mib": grown, "idle_mib": {name: one.mib for name, one in idle.items()}},
        ),
    ]


class Workers:
    """Simulated workers: they take what they are sent, and tell of it in their beats."""

    def __init__(self, bus: Bus, count: int) -> None:
        self._bus = bus
        self._names = [f"w{number:04}" for number in range(count)]
        self.held: dict[str, dict[str, WorkerRun]] = {name: {} for name in self._names}
        self.answers: Counter[str] = Counter()
        self.cancelled = 0
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._bus.declare(INBOX)
        self._tasks = [asyncio.create_task(self._take()), asyncio.create_task(self._beat_all())]

    async def stop(self) -> None:
        await end(*self._tasks)

    def running(self) -> int:
        """Attempts that were begun."""
        return sum(map(len, self.held.values()))

    async def _take(self) -> None:
        async with self._bus.consume(INBOX.name, prefetch=1_000) as consumer:
            while True:
                for delivery in await consumer.get(200):
                    data = decode(delivery.body).data
                    if isinstance(data, WorkerRun) and data.worker in self.held:
                        self.held[data.worker].setdefault(data.job, data)
                    elif isinstance(data, WorkerLease):
                        self.answers.update(lease.decision for lease in data.leases)
                    elif not isinstance(data, WorkerRun):
                        self.cancelled += 1
                    await delivery.ack()

    async def _beat_all(self) -> None:
        """One beat after the other, so that all have beaten after BEAT_S."""
        begun, pause = time.monotonic(), BEAT_S / len(self._names)
        sending: set[asyncio.Task[None]] = set()
        while True:
            for name in self._names:
                self._number += 1
                await asyncio.sleep(max(0.0, begun + self._number * pause - time.monotonic()))
                task = asyncio.create_task(self._beat(name, self._number))
                sending.add(task)
                task.add_done_callback(sending.discard)

    async def _beat(self, name: str, number: int) -> None:
        runs = list(self.held[name].values())
        free: list[str | None] = [None] * (ATTEMPTS - len(runs))
        jobs = [*(run.job for run in runs), *free]
        beat = WorkerBeat(
            worker=name,
            instance="bench",
            sequence=number,
            slots=tuple(Slot(id=f"s{place}", job=job) for place, job in enumerate(jobs)),
            runners=("process",),
            attempts=tuple(_shown(run, number, len(self._names)) for run in runs),
            machine={"load": 1.0},
        )
        await self._bus.publish(encode(beat, source=f"worker/{name}", organisation=SYSTEM, expires_s=LEASE_S))


def _shown(run: WorkerRun, number: int, count: int) -> AttemptBeat:
    """A training some way along: every beat tells more of it."""
    beats = number // count
    return AttemptBeat(
        job=run.job,
        organisation="acme",
        fence=run.fence,
        sequence=number,
        phase="running",
        progress=min(beats / 1_000, 1.0),
        remaining_s=5_000.0 - beats * BEAT_S,
        epoch=beats // 6,
        epochs=100,
        metrics={"map50": 0.5 + beats / 10_000, "train/box_loss": 1.25 - beats / 10_000, "train/cls_loss": 0.75},
        metrics_step=beats // 6,
    )


async def submit(bus: Bus, count: int) -> None:
    """Asks for so many jobs."""
    spec = Spec(kind="train", parameters={"epochs": 100, "image_size": 640})
    requests = [
        encode(
            JobRequested(job=new_id(), owner="bench", spec=spec), source="bench", organisation="acme", mandatory=True
        )
        for _ in range(count)
    ]
    if any(await bus.publish_many(requests)):
        raise Studio9Error("a request was not confirmed")


async def until_running(workers: Workers, store: AriesClient, count: int) -> None:
    """Until Orion knows of every job that it runs."""
    running = Where(equals={"phase": "running"})
    async with asyncio.timeout(START_S):
        while True:
            await asyncio.sleep(0.5)
            if workers.running() >= count and await store.count("jobs", running, fresh=True) == count:
                return


async def _window(deployed: Deployed, workers: Workers, seconds: float) -> dict[str, float]:
    """The cores that each process was busy with."""
    workers.answers.clear()
    parts = (*PROCESSES, "broker", "store")
    before, started = {part: deployed.usage(part).cpu_s for part in parts}, time.perf_counter()
    await asyncio.sleep(seconds)
    passed = time.perf_counter() - started
    return {part: (deployed.usage(part).cpu_s - before[part]) / passed for part in parts}


async def _supervised(store: AriesClient) -> int:
    """Jobs that run in their first attempt, and whose last beat holds now."""
    now = format_time(SystemClock().now())
    leased = {
        hit.body["job"] async for hit in store.search_all("beats", Where(at_least={"lease_until": now}), fresh=True)
    }
    first = Where(equals={"phase": "running", "fence": 1})
    return len(leased & {hit.id async for hit in store.search_all("jobs", first)})
