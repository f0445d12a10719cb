"""Dispatch on RabbitMQ and Elasticsearch: latency to a warm worker against the bare servers, no-op jobs against Celery.

`dispatch_p99_ms`: from the confirm of `job.requested` until a warm worker has the attempt's record synced on its disk;
5 jobs a second, Orion, Aries and the worker as own processes. `dispatch_p50_vs_floor_ratio`: beside it, once a second,
what the servers alone take for the same chain (see `kit.floor`).

`noop_jobs_vs_celery_ratio`: jobs whose task does nothing, from submit to durable result. Ours go through Orion, Aries
and one worker process; Celery has three processes too (a parent and two children), the same broker, quorum queues,
publisher confirms, acks_late, reject_on_worker_lost, and durable results in PostgreSQL.
"""

import asyncio
import itertools
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import aio_pika
from elasticsearch import AsyncElasticsearch

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.celery_arm import TURN_S, Celery, Turn
from studio9_cli.bench.kit.deployed import Deployed
from studio9_cli.bench.kit.figures import compared
from studio9_cli.bench.kit.floor import Floor
from studio9_common.bus import Bus, Outgoing, Queue, open_bus
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import JobCancelled, JobCompleted, JobFailed, JobRequested
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id

NEEDS = ("rabbitmq", "elasticsearch", "postgresql")
SAMPLES, QUICK_SAMPLES = 1_100, 10
EVERY_S = 0.2
WARM_UP = 25
"""Jobs before the first sample."""
WRITES, PUBLISHES = 1, 3
"""What a dispatch makes durable: the job, written as assigned at once where a slot is free; `job.accepted`,
`job.queued` and `worker.run`."""
SLOTS = 256
JOBS, QUICK_JOBS = 3_000, 60
"""Jobs of one arm's turn."""
WARM_UP_JOBS, WARM_UPS, STILL_WARMING = 1_500, (5, 8), 0.9
"""Jobs of a warm-up turn of either arm, how many of these at least and at most, and which share of the turn before the
store's processor time a job is below while it still gets warm: Elasticsearch has just begun and compiles what it runs
(`warm_up_store_cpu_s_per_job`); no installation stays that young."""
PAIRS = 3
PROCESSES = ("orion", "aries", "worker")
ENDED = Queue("bench.ended.v1", (JobCompleted.routing_key, JobFailed.routing_key, JobCancelled.routing_key))


async def run(bench: Bench) -> list[Figure]:
    """All three figures."""
    async with Deployed(bench) as deployed:
        marks = deployed.folder / "marks"
        environment = {"SLOTS": str(SLOTS), "MARKS": str(marks)}
        deployed.start("worker", [sys.executable, "-m", "studio9_cli.bench.kit.noop_worker"], environment)
        bus = await open_bus(deployed.bus_url, name="bench")
        await bus.declare(ENDED)
        try:
            await _turn(deployed, bus, 1)  # the worker has shown itself
            latencies = await _dispatch(bench, deployed, bus, marks)
            return [*latencies, await _throughput(bench, deployed, bus)]
        finally:
            await bus.close()


def request() -> Outgoing:
    """A new job whose task does nothing."""
    data = JobRequested(job=new_id(), owner="bench", spec=Spec(kind="train", parameters={"epochs": 1}))
    return encode(data, source="bench", organisation="acme", mandatory=True)


async def _dispatch(bench: Bench, deployed: Deployed, bus: Bus, marks: Path) -> list[Figure]:
    """Requests at a steady rate, with floors in between."""
    samples = QUICK_SAMPLES if bench.quick else SAMPLES
    confirmed: dict[str, int] = {}
    floors: list[float] = []
    connection = await aio_pika.connect(deployed.bus_url)
    async with connection, AsyncElasticsearch(deployed.store_url, request_timeout=30) as store:
        floor = await Floor.open(store, connection, f"{deployed.name}-floor")
        begun = time.monotonic()
        for n in itertools.count():
            await asyncio.sleep(max(0.0, begun + n * EVERY_S - time.monotonic()))
            message = request()
            await bus.publish(message)
            if n >= WARM_UP:
                confirmed[job_of(message)] = time.monotonic_ns()
            if len(confirmed) == samples:
                break
            if n >= WARM_UP and n % 5 == 0:  # half way to the next request, when the last one is through
                await asyncio.sleep(EVERY_S / 2)
                floors.append(await floor.once(WRITES, PUBLISHES))
    synced = await _synced(marks, set(confirmed))
    waits = sorted((synced[job] - at) / 1e6 for job, at in confirmed.items())
    floor_ms, p50, p99 = statistics.median(floors) * 1e3, statistics.median(waits), _part(waits, 0.99)
    spread = {"samples": len(waits), "p50_ms": p50, "p90_ms": _part(waits, 0.9), "worst_ms": waits[-1]}
    chain = {"floors": len(floors), "writes": WRITES, "publishes": PUBLISHES}
    return [
        Figure("dispatch_p99_ms", "ms", p99, goal=50, at_most=True, extra=spread),
        Figure(
            "dispatch_p50_vs_floor_ratio",
            "ms",
            p50,
            "bare writes and publishes",
            floor_ms,
            floor_ms / p50,
            0.4,
            extra=chain,
        ),
    ]


async def _synced(marks: Path, jobs: set[str]) -> dict[str, int]:
    """The moments at which the worker had these jobs, once it has all of them."""
    async with asyncio.timeout(60):
        while True:
            lines = (line.split() for line in (await asyncio.to_thread(marks.read_text)).splitlines())
            found: dict[str, int] = {}
            for job, moment in lines:
                found.setdefault(job, int(moment))
            if jobs <= found.keys():
                return found
            await asyncio.sleep(0.1)


async def _throughput(bench: Bench, deployed: Deployed, bus: Bus) -> Figure:
    """Turns of ours and of Celery's, alternating."""
    ours: list[Turn] = []
    theirs: list[Turn] = []
    jobs, pairs = (QUICK_JOBS, 1) if bench.quick else (JOBS, PAIRS)
    async with Celery(
        deployed.processes,
        deployed.folder,
        broker=deployed.bus_url,
        postgresql=bench.address("STUDIO9_TEST_POSTGRESQL_URL"),
        name=deployed.name,
    ) as celery:
        warm_ups = await _warm_up(deployed, bus, celery, quick=bench.quick)
        for n in range(2 * pairs):
            if n % 4 in (0, 3):
                ours.append(await _turn(deployed, bus, jobs))
            else:
                theirs.append(await celery.turn(jobs))
    figure = compared(
        "noop_jobs_vs_celery_ratio",
        "jobs/s",
        [(mine.rate, other.rate) for mine, other in zip(ours, theirs, strict=True)],
        against="Celery",
        goal=1,
    )
    cpu = {
        "cpu_s_per_job": statistics.median(turn.cpu_s / turn.jobs for turn in ours),
        "reference_cpu_s_per_job": statistics.median(turn.cpu_s / turn.jobs for turn in theirs),
        "cpu_s_per_job_of": {
            name: statistics.median(turn.cpu_of[name] / turn.jobs for turn in ours) for name in ours[0].cpu_of
        },
    }
    return replace(figure, extra={**figure.extra, **cpu, "warm_up_store_cpu_s_per_job": warm_ups})


async def _warm_up(deployed: Deployed, bus: Bus, celery: Celery, *, quick: bool) -> list[float]:
    """Turns of both arms until the store's processor time a job falls no more; that of each."""
    jobs, least, most = (QUICK_JOBS, 1, 1) if quick else (WARM_UP_JOBS, *WARM_UPS)
    taken: list[float] = []
    while len(taken) < least or (len(taken) < most and taken[-1] < STILL_WARMING * taken[-2]):
        await celery.turn(jobs)
        turn = await _turn(deployed, bus, jobs)
        taken.append(turn.cpu_of["store"] / turn.jobs)
    return taken


async def _turn(deployed: Deployed, bus: Bus, jobs: int) -> Turn:
    """Submits so many and waits until each has ended well: `job.completed` is published once that is written."""
    messages = [request() for _ in range(jobs)]
    waiting = {job_of(message) for message in messages}
    parts = (*PROCESSES, "broker", "store")
    before, own = {part: deployed.usage(part).cpu_s for part in parts}, time.process_time()
    started = time.perf_counter()
    submitting = asyncio.create_task(bus.publish_many(messages))
    async with asyncio.timeout(TURN_S), bus.consume(ENDED.name, prefetch=1_000) as consumer:
        while waiting:
            for delivery in await consumer.get(500):
                data = decode(delivery.body).data
                if not isinstance(data, JobCompleted):
                    raise Studio9Error(f"a job that does nothing ended with {data.type}")
                waiting.discard(data.job)
                await delivery.ack()
    seconds = time.perf_counter() - started
    if any(await submitting):
        raise Studio9Error("a request was not confirmed")
    cpu = {part: deployed.usage(part).cpu_s - before[part] for part in parts}
    cpu["submitter"] = time.process_time() - own
    return Turn(jobs, seconds, sum(cpu.values()), cpu)


def job_of(message: Outgoing) -> str:
    """The job that a request is about."""
    return str(decode(message.body).subject)


def _part(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
