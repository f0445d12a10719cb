"""Carries the scheduler out: wakes on messages, beats and the tick, runs a pass, and assigns through the shell."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from studio9_common.bus.port import Delivery
from studio9_common.contracts.collections import SCHEDULER, USAGE
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.messages import JobEnded, JobQueued
from studio9_common.documents.port import Where
from studio9_common.times import format_time, parse_time
from studio9_orion.core.events import Assigned
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.leader import POOL, Leader
from studio9_orion.scheduler.model import Assignment, Plan, Shares
from studio9_orion.scheduler.snapshot import snapshot
from studio9_orion.scheduler.usage import Usage
from studio9_orion.scheduler.view import View
from studio9_orion.shell import Shell
from studio9_orion.store import find, get, put_many, swap
from studio9_orion.workers import Worker, Workers

SNAPSHOT = f"snapshot:{POOL}"
SNAPSHOT_EVERY = timedelta(seconds=1)
IN_LOOP = 300
"""Up to so many waiting jobs a pass is quicker than the way to a thread and back."""
MOST = 20_000


class Scheduler:
    """See the module's docstring. Any number may exist; the one that leads works."""

    def __init__(
        self,
        shell: Shell,
        workers: Workers,
        leader: Leader,
        *,
        weights: Mapping[str, float] | None = None,
        limit: int | None = None,
    ) -> None:
        self._shell, self._workers, self._leader = shell, workers, leader
        self._store = shell.jobs.store
        self._weights, self._limit = weights or {}, limit
        self._view = View()
        self._usage = Usage()
        self._lock = asyncio.Lock()
        self._shown: dict[str, Any] = {}
        self._shown_at = shell.clock.now() - SNAPSHOT_EVERY
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._on_workers(), name="orion-scheduler")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of `orion.schedule.v1`: whoever gets them is its single active consumer, so it leads."""
        data = [decode(delivery.body).data for delivery in deliveries]
        ids = [one.job for one in data if isinstance(one, JobQueued | JobEnded)]
        async with self._lock:
            if not self._leader.epoch:
                if not await self._leader.lead(take=True):
                    return
                await self._refresh()
            found = await self._shell.jobs.load_many(ids)
            self._view.take((item.job for item in found.values()), self._shell.clock.now())
            await self._pass()

    async def tick(self) -> int:
        """The fallback: leads if nobody else does, reads everything anew and runs a pass. Returns assignments."""
        async with self._lock:
            if not await self._leader.lead():
                return 0
            await self._refresh()
            await self._account()
            return await self._pass()

    def notice(self, workers: Sequence[Worker]) -> None:
        """Workers as their beats show them; a free slot wakes the scheduler."""
        if not self._leader.epoch:
            return
        for worker in workers:
            before = self._view.workers.get(worker.id)
            self._view.workers[worker.id] = worker
            if self._view.queue and (before is None or before.slots != worker.slots or before.state != worker.state):
                self._again.set()

    # --- how -------------------------------------------------------------------------------------------------------

    async def _on_workers(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                async with self._lock:
                    if self._leader.epoch:
                        await self._pass()
            except Exception as error:
                self._shell.log.warning("pass_failed", reason=repr(error))

    async def _pass(self) -> int:
        now = self._shell.clock.now()
        places = self._view.places(now, self._shell.policy.lease_s)
        shares = self._view.shares(self._usage.values, self._weights, self._limit)
        queue = list(self._view.queue.values())
        time = format_time(now)
        if len(queue) <= IN_LOOP:
            plan = schedule(queue, places, shares, time)
        else:
            plan = await asyncio.to_thread(schedule, queue, places, shares, time)
        made = await self._assign(plan.assignments)
        await self._show(plan, shares)
        return made

    async def _assign(self, assignments: Sequence[Assignment]) -> int:
        """Assigns through the core; a job that is elsewhere by now was not ours to give."""
        if not assignments:
            return 0
        told = [
            (one.job, Assigned(worker=one.worker, provider=one.provider, epoch=self._leader.epoch))
            for one in assignments
        ]
        applied = await self._shell.apply(told)
        for one in assignments:
            self._view.queue.pop(one.job, None)
        self._view.take(applied.jobs.values(), self._shell.clock.now())
        return sum(decision.changed for decision in applied.decisions)

    async def _refresh(self) -> None:
        """Reads what waits, what runs and who is there: all that was acknowledged, each job then in real time."""
        now = self._shell.clock.now()
        jobs = self._shell.jobs
        queued = [job async for job in jobs.queued(most=MOST)]
        held = [job async for job in jobs.held()]
        workers = await self._workers.present(now, self._shell.policy.lease_s)
        if not self._usage.at:
            self._usage = await self._load_usage()
        self._view.replace(queued, held, workers, now)

    async def _load_usage(self) -> Usage:
        values: dict[str, float] = {}
        at = 0.0
        async for item in find(self._store, USAGE.name, Where()):
            values[item.body["organisation"]] = float(item.body["value"])
            at = max(at, parse_time(item.body["updated_at"]).timestamp())
        return Usage(at or self._shell.clock.now().timestamp(), values)

    async def _account(self) -> None:
        """Adds what was used since the last tick."""
        now = self._shell.clock.now()
        before = self._usage
        self._usage = before.later(now.timestamp(), self._view.running())
        gone = {name: 0.0 for name in before.values if name not in self._usage.values}
        time = format_time(now)
        await put_many(
            self._store,
            USAGE.name,
            [
                (name, {"organisation": name, "updated_at": time, "value": value})
                for name, value in {**self._usage.values, **gone}.items()
            ],
        )

    async def _show(self, plan: Plan, shares: Shares) -> None:
        """Writes the snapshot by which it is told why a job waits: when it changed, at most once a second."""
        now = self._shell.clock.now()
        taken = snapshot(plan, shares)
        if taken == self._shown or now - self._shown_at < SNAPSHOT_EVERY:
            return
        document = await get(self._store, SCHEDULER.name, SNAPSHOT)
        body = {
            "organisation": "system",
            "pool": POOL,
            "epoch": self._leader.epoch,
            "updated_at": format_time(now),
            "snapshot": taken,
        }
        if await swap(self._store, SCHEDULER.name, SNAPSHOT, body, document.etag if document else None):
            self._shown, self._shown_at = taken, now
