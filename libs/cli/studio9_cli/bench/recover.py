"""How soon the job core is itself again: lost workers, a restarted broker, orphans, a scheduler that dies or freezes.

On RabbitMQ and Elasticsearch of its own, with production's times: two Orions and three workers, each a process.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from studio9_cli.bench import Bench, Figure, Spread
from studio9_cli.bench.kit.running import CannotMeasure
from studio9_cli.chaos.asker import PROBE, Asker
from studio9_cli.chaos.pace import PRODUCTION
from studio9_cli.chaos.plan import ORIONS, WORKERS, Wish
from studio9_cli.chaos.platform import CannotRun, Platform, running, scratch
from studio9_common.contracts.collections import SCHEDULER
from studio9_common.contracts.job import Job, Phase
from studio9_common.errors import Studio9Error
from studio9_common.times import parse_time
from studio9_orion.core.keeping import fence_of

NEEDS: tuple[str, ...] = ()
DETECT_S, REQUEUE_S, BROKER_S, ORPHANS_S = 30.0, 35.0, 15.0, 120.0
KILLED_S, FROZEN_S = 5.0, 20.0
LONG = Wish(0, PROBE, "ok", 400, 0.5)
QUICK = Wish(0, PROBE, "ok", 1, 0.0)
JOBS = 12
LOOK_S, LIMIT_S = 0.1, 180.0


async def run(bench: Bench) -> list[Figure]:
    """All figures, on one deployment."""
    with scratch() as folder:
        try:
            async with running(folder, PRODUCTION, proxied=False) as platform:
                await platform.services.ready()
                return await _Recovery(platform, rounds=1 if bench.quick else 4).all()
        except CannotRun as error:
            raise CannotMeasure(str(error)) from error


class _Recovery:
    def __init__(self, platform: Platform, rounds: int) -> None:
        self._platform, self._rounds = platform, rounds
        self._asker = Asker(platform.bus, platform.aries, platform.objects)

    async def all(self) -> list[Figure]:
        await self._asker.start()
        try:
            await self._normal()
            detected, again, orphans = await self._workers()
            broker = [await self._broker(clean=turn % 2 == 1) for turn in range(self._rounds)]
            killed = [await self._leader(kill=True) for _ in range(self._rounds)]
            frozen = [await self._leader(kill=False) for _ in range(max(1, self._rounds // 2))]
        finally:
            await self._asker.stop()
        return [
            _figure("detect_p99_s", detected, DETECT_S, p99=True),
            _figure("requeue_p99_s", again, REQUEUE_S, p99=True),
            _figure("broker_restart_s", broker, BROKER_S),
            _figure("orphans_s", orphans, ORPHANS_S),
            _figure("take_over_killed_s", killed, KILLED_S),
            _figure("take_over_frozen_s", frozen, FROZEN_S),
        ]

    async def _normal(self) -> None:
        """Until a new job runs through."""
        asked = await self._asker.submit(QUICK)
        if await self._asker.ended(asked.id, LIMIT_S) is None:
            raise CannotMeasure(f"a new job does not run through within {LIMIT_S:.0f} s")

    async def _workers(self) -> tuple[list[float], list[float], list[float]]:
        """Kills the worker that holds most, with its tasks, as the end of its machine would."""
        detected: list[float] = []
        again: list[float] = []
        orphans: list[float] = []
        for _ in range(self._rounds):
            asked = [(await self._asker.submit(LONG)).id for _ in range(JOBS)]
            await self._until(partial(self._all, asked, Phase.running))
            held = {worker: [id for id in asked if self._job(id).attempts[-1].worker == worker] for worker in WORKERS}
            worker = max(WORKERS, key=lambda name: len(held[name]))
            lost = held[worker]
            began = time.time()
            await self._platform.services.instances[worker].kill()
            self._platform.services.kill_tasks(worker)
            await self._until(partial(self._again, lost))
            detected += [_time(self._job(id), "lost") - began for id in lost]
            again += [_time(self._job(id), "running") - began for id in lost]
            self._platform.services.begin(worker)
            await self._until(partial(self._beyond, lost))
            await self._end(asked)
            orphans += await asyncio.gather(*(self._orphan(id) for id in lost))
            await self._platform.services.ready(worker)
        return detected, again, orphans

    async def _end(self, asked: list[str]) -> None:
        """Cancels jobs and waits until they are clean."""
        for id in asked:
            self._asker.cancel(id)
        await self._until(partial(self._all, asked, Phase.clean))

    async def _orphan(self, job: str) -> float:
        """Seconds until what a superseded attempt uploads after its job was cleaned is gone."""
        prefix = f"{PROBE}/jobs/{job}/1/"
        await self._platform.objects.put(f"{prefix}late.txt", b"too late")
        began = time.monotonic()
        while [info async for info in self._platform.objects.list(prefix)]:
            if time.monotonic() - began > 2 * ORPHANS_S:
                break
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began

    async def _broker(self, *, clean: bool) -> float:
        """From the broker accepting connections again until a job that is asked for then has run through."""
        broker = self._platform.broker
        await (broker.end() if clean else broker.kill())
        broker.begin()
        await broker.ready()
        began = time.monotonic()
        await self._normal()
        took = time.monotonic() - began
        await self._platform.services.ready()
        return took

    async def _leader(self, *, kill: bool) -> float:
        """From the end (or the freezing) of the Orion that schedules until another does."""
        leader = await self._scheduling()
        instance = self._platform.services.instances[leader]
        began = time.monotonic()
        if kill:
            await instance.kill()
        else:
            instance.signal(signal.SIGSTOP)
        while time.monotonic() - began < LIMIT_S:
            if await self._scheduling() != leader:
                break
            await asyncio.sleep(LOOK_S)
        took = time.monotonic() - began
        if kill:
            self._platform.services.begin(leader)
        else:
            instance.signal(signal.SIGCONT)
        await self._platform.services.ready(*ORIONS)
        await self._normal()
        return took

    async def _scheduling(self) -> str:
        document = await self._platform.aries.get(SCHEDULER.name, "epoch")
        return str(document.body["snapshot"]["owner"])

    def _job(self, id: str) -> Job:
        return self._asker.seen[id]

    def _all(self, jobs: Sequence[str], phase: Phase) -> bool:
        seen = self._asker.seen
        return all(id in seen and seen[id].phase is phase for id in jobs)

    def _again(self, jobs: Sequence[str]) -> bool:
        return self._all(jobs, Phase.running) and all(len(self._job(id).attempts) > 1 for id in jobs)

    def _beyond(self, jobs: Sequence[str]) -> bool:
        """Whether the jobs' last checkpoints are of their current attempts: what lies beside one is kept with it."""
        return all(
            (job := self._job(id)).checkpoint is not None and fence_of(job, job.checkpoint.key) == job.fence
            for id in jobs
        )

    async def _until(self, what: Callable[[], bool]) -> None:
        """Until something shows in the store. Raises CannotMeasure."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not what():
                    await asyncio.sleep(LOOK_S)
                    with suppress(Studio9Error):
                        await self._asker.read()
        except TimeoutError:
            raise CannotMeasure(f"what a fault should lead to did not happen within {LIMIT_S:.0f} s") from None


def _time(job: Job, type: str) -> float:
    """When the last life-cycle event of a type was, by Orion's clock, which is this machine's."""
    return parse_time([event.time for event in job.events if event.type == type][-1]).timestamp()


def _figure(name: str, seconds: list[float], goal: float, *, p99: bool = False) -> Figure:
    """The 99th percentile, or the longest, of some measurements."""
    ordered = sorted(seconds)
    value = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if p99 else ordered[-1]
    extra = {"samples": len(ordered), "spread": Spread(tuple(ordered)).to_json()}
    return Figure(name=name, unit="s", ours=value, goal=goal, at_most=True, extra=extra)
