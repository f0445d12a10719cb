"""Carries the scheduler out: wakes on messages, beats and the tick, runs passes, and assigns through the shell."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from studio9_common.bus.port import Delivery
from studio9_common.contracts.collections import SCHEDULER
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.job import Job, Phase
from studio9_common.contracts.messages import JobEnded, JobQueued, SchedulerCall
from studio9_common.contracts.waiting import POOL, SNAPSHOT
from studio9_common.tasks import end
from studio9_common.times import format_time, parse_time
from studio9_orion.core import decide
from studio9_orion.core.events import Assigned
from studio9_orion.gatherer import Gatherer
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.leader import Leader
from studio9_orion.scheduler.ledger import Ledger
from studio9_orion.scheduler.model import Assignment, Shares
from studio9_orion.scheduler.reading import Reader
from studio9_orion.scheduler.rules import Rules
from studio9_orion.scheduler.snapshot import snapshot
from studio9_orion.scheduler.view import View
from studio9_orion.shell import Shell
from studio9_orion.store import get, swap
from studio9_orion.workers import Worker, Workers

SNAPSHOT_EVERY = timedelta(seconds=1)
NEWSWORTHY = frozenset({Phase.queued, Phase.backing_off, Phase.cleaning})
"""Where a job waits, or holds a slot no more."""
AT_ONCE = 100
"""Assignments of one slice of a pass: one bulk write, whose documents are made in a few milliseconds of the loop."""
SLICES = 50
NEWS = 500
"""Jobs of one call; so many ids fit into a message."""
PATIENCE = timedelta(seconds=600)
"""After so long a job that needs several GPUs of one worker may keep what is free there from others."""


async def _nothing(queued: Sequence[str], ended: Sequence[str]) -> None:
    """Nobody to call upon."""


class Scheduler:
    """See the module's docstring. Any number may exist; the one that leads works. Times are seconds.

    `rules` gives what operators have set. `call` asks whoever consumes `orion.schedule.v1` to lead, and tells
    it of jobs that wait and that have ended.
    """

    def __init__(
        self,
        shell: Shell,
        workers: Workers,
        leader: Leader,
        *,
        rules: Callable[[], Rules] = Rules,
        call: Callable[[Sequence[str], Sequence[str]], Awaitable[None]] = _nothing,
        full_read_s: float = 60.0,
        tick_s: float = 5.0,
    ) -> None:
        self._shell, self._leader, self._rules, self._call = shell, leader, rules, call
        self._store = shell.jobs.store
        self._view = View()
        self._reader = Reader(
            self._view, shell.jobs, workers, shell.clock,
            lease_s=shell.policy.lease_s, every_s=full_read_s, overlap_s=2 * tick_s, heard_s=2 * tick_s,
        )  # fmt: skip
        self._ledger = Ledger(self._store, shell.clock)
        self._lock = asyncio.Lock()
        self._led = 0
        self._shown: Any = None
        self._idle: list[Place] | None = None
        """The places that the snapshot shows, where it shows nobody who waits."""
        self._shown_at = shell.clock.now() - SNAPSHOT_EVERY
        self._show_again = False
        self._again = asyncio.Event()
        self._due = False
        self._task: asyncio.Task[None] | None = None
        self._news: Gatherer[tuple[str, Phase]] = Gatherer("news", self._tell, most=NEWS)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="orion-scheduler")
        self._news.start()

    async def stop(self) -> None:
        await self._news.stop(rest=False)
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    # --- what wakes it ---------------------------------------------------------------------------------------------

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of `orion.schedule.v1`: whoever gets them is its single active consumer, so it leads."""
        data = [decode(delivery.body).data for delivery in deliveries]
        async with self._lock:
            if not self._leader.epoch and not await self._leader.lead(take=True):
                return
            anew = self._led != self._leader.epoch
            await self._begin()
            news = [one for one in data if not self._wrote(one)]
            queued, ended = _news(news)
            self._over(ended)
            await self._expel(data)
            found = await self._shell.jobs.load_many(queued)
            self._view.take((item.job for item in found.values()), self._shell.clock.now())
            if anew or queued or ended or len(news) < len(data):  # other calls only ask whether it leads
                await self._pass()

    async def tick(self) -> int:
        """The fallback: leads if nobody else does, looks at the store and runs a pass. Returns assignments."""
        async with self._lock:
            if not await self._leader.lead():
                return 0
            await self._begin()
        await self._refresh()
        async with self._lock:
            if not self._leader.epoch:
                return 0
            made = await self._pass()
            await self._ledger.save()
            return made

    async def call_upon(self) -> None:
        """Where another leads: sends it a word. If it is gone, the word comes to whoever takes its place."""
        if not self._leader.epoch:
            await self._call((), ())

    def notice(self, workers: Sequence[Worker]) -> None:
        """Workers as their beats show them; a free slot wakes the scheduler."""
        for worker in workers:
            self._reader.heard(worker)
            if self._view.show(worker) and self._view.queue and self._leader.epoch:
                self.wake()

    def stepped(self, job: Job) -> None:
        """A job as this Orion has just written it: nothing waits for the message that tells of it."""
        if self._leader.epoch and self._led == self._leader.epoch:
            self._view.take([job], self._shell.clock.now())
            if self._view.queue:
                self.wake()
        elif job.phase in NEWSWORTHY:
            self._news.add((job.id, job.phase))

    def offer(self, jobs: Iterable[Job]) -> dict[str, Assigned]:
        """Slots for jobs that are about to be written as queued, so that they are written as assigned at once. Only
        where nobody waits, so that nobody is passed by. The slots count as taken until `settle`."""
        view, now = self._view, self._shell.clock.now()
        led = self._leader.epoch and self._led == self._leader.epoch
        if not led or view.queue:  # while a pass assigns, what it assigns is still in the queue
            return {}
        new = {job.id: job for job in jobs if job.phase is Phase.queued and job.id not in view.held}
        if not new:
            return {}
        for job in new.values():
            view.note(job, now)
        places = view.places(now, self._shell.policy.lease_s)
        plan = schedule(view.queue, places, self._shares(now), most=AT_ONCE, long_ago=format_time(now - PATIENCE))
        made = {
            one.job: Assigned(worker=one.worker, provider=one.provider, epoch=self._leader.epoch)
            for one in plan.assignments
        }
        for id, job in new.items():
            assigned = decide(job, made[id], now, self._shell.policy).job if id in made else None
            if assigned is not None:
                view.note(assigned, now)
            else:
                view.forget(id, now)
        return made

    def settle(self, offered: Iterable[str], jobs: Mapping[str, Job]) -> None:
        """What became of jobs with an offer; those that are not in `jobs` could not be written."""
        now = self._shell.clock.now()
        for id in offered:
            if id in jobs:
                self._view.take([jobs[id]], now)
            else:
                self._view.forget(id, now)

    def wake(self) -> None:
        """Something that a pass depends on has changed."""
        self._due = True
        self._again.set()

    # --- how -------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._again.wait()
            except TimeoutError:
                self._due = True
            self._again.clear()
            if not self._due:
                continue  # only the time of the next pass has changed
            self._due = False
            try:
                async with self._lock:
                    if self._leader.epoch and self._led == self._leader.epoch:
                        await self._pass()
            except Exception as error:
                self._reader.distrust()
                self._shell.log.warning("pass_failed", reason=repr(error))
                await asyncio.sleep(1)

    def _pause(self) -> float | None:
        """Seconds until the next pass that nothing else wakes: a `not_before`, or a snapshot held back."""
        if not self._leader.epoch:
            return None
        now = self._shell.clock.now()
        times = [parse_time(self._view.queue.next_wake)] if self._view.queue.next_wake else []
        if self._show_again:
            times.append(self._shown_at + SNAPSHOT_EVERY)
        return max((min(times) - now).total_seconds(), 0.01) if times else None

    async def _begin(self) -> None:
        """Reads everything when the lead was taken."""
        if self._led != self._leader.epoch:
            self._reader.distrust()
            await self._refresh()
            await self._ledger.load()
            self._led = self._leader.epoch
            self._shown = self._idle = None

    async def _refresh(self) -> None:
        """Looks at what may have been missed."""
        await self._reader.look()

    async def _expel(self, told: Iterable[object]) -> None:
        """Workers that were removed just now: the next tick would find them too."""
        removed = [one.removed for one in told if isinstance(one, SchedulerCall) and one.removed is not None]
        if removed:
            await self._reader.expel(removed)

    async def _tell(self, news: Sequence[tuple[str, Phase]]) -> None:
        """Another leads: tells it of jobs that this Orion has written."""
        ended = [job for job, phase in news if phase is Phase.cleaning]
        await self._call([job for job, phase in news if phase is not Phase.cleaning], ended)

    def _wrote(self, one: object) -> bool:
        """Whether a message tells what this Orion wrote itself, and has been told of already. What others have written
        since, of a job that it knows, too, is news."""
        written = self._shell.jobs.written(one.job) if isinstance(one, JobQueued) else None
        return written is not None and isinstance(one, JobQueued) and one.time <= written.job.updated_at

    def _over(self, ended: Iterable[str]) -> None:
        now = self._shell.clock.now()
        for job in ended:
            self._view.over(job, now)

    async def _pass(self) -> int:
        """Slices until nothing is left to give. A job that was elsewhere by now left its slot to another."""
        made = 0
        try:
            for _ in range(SLICES):
                now = self._shell.clock.now()
                self._view.queue.wake(format_time(now))
                shares = self._shares(now)
                places = self._view.places(now, self._shell.policy.lease_s)
                plan = schedule(
                    self._view.queue, places, shares, most=AT_ONCE, long_ago=format_time(now - PATIENCE)
                )  # fmt: skip
                done = await self._assign(plan.assignments)
                made += done
                if done == len(plan.assignments) and not plan.cut:
                    break
            else:
                self.wake()
            await self._show()
            self._again.set()
        except Exception:
            self._reader.distrust()
            raise
        return made

    def _shares(self, now: datetime) -> Shares:
        view, rules = self._view, self._rules()
        return self._ledger.count(now, view.spent(now), view.waiting(), view.active(), view.shares({}, rules))

    async def _assign(self, assignments: Sequence[Assignment]) -> int:
        """Assigns through the core; a job that is elsewhere by now was not ours to give."""
        if not assignments:
            return 0
        told = [
            (one.job, Assigned(worker=one.worker, provider=one.provider, epoch=self._leader.epoch))
            for one in assignments
        ]
        applied = await self._shell.apply(told)
        self._took(assignments, applied.jobs)
        return sum(decision.changed for decision in applied.decisions)

    def _took(self, assignments: Sequence[Assignment], jobs: Mapping[str, Job]) -> None:
        now = self._shell.clock.now()
        for one in assignments:
            if one.job not in jobs:
                self._view.forget(one.job, now)
        self._view.take(jobs.values(), now)

    async def _show(self) -> None:
        """Writes the snapshot by which it is told why a job waits: when it changed, at most once a second."""
        now = self._shell.clock.now()
        self._show_again = now - self._shown_at < SNAPSHOT_EVERY
        if self._show_again:
            return
        places = self._view.places(now, self._shell.policy.lease_s)
        idle = None if self._view.queue else places
        if idle is not None and idle == self._idle:
            return
        taken = snapshot(self._view.queue, places, self._shares(now))
        self._shown_at = now
        if taken == self._shown:
            self._idle = idle
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
            self._shown, self._idle = taken, idle
        else:
            self._show_again = True


def _news(data: Iterable[object]) -> tuple[list[str], list[str]]:
    """The jobs that wait and those that have ended; Orions of an earlier version let the jobs' own messages tell it."""
    queued: list[str] = []
    ended: list[str] = []
    for one in data:
        match one:
            case SchedulerCall():
                queued += one.queued
                ended += one.ended
            case JobQueued():
                queued.append(one.job)
            case JobEnded():
                ended.append(one.job)
    return queued, ended
