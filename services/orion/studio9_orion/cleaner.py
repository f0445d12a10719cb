"""The cleaner: removes what a job used, once the store shows in real time that the job has ended. Idempotent.

The Orion that ends a job cleans up after it, and the order never leaves the outbox; where it does not come to that, a
sweep publishes the order, as any that was forgotten, and whoever gets it does it.

Workers remove their own containers and folders when a lease says `confirmed` or `stop`; what lies in the object
storage and in the store is removed here. What children have left for which a job's task has asked goes with the job: by
the order to clean up after it, and where a child ends later, by the order to clean up after that.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from studio9_common.bus.port import Delivery
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.job import TERMINAL, Job
from studio9_common.contracts.messages import JobClean
from studio9_common.errors import BadInput
from studio9_common.objects.port import Objects
from studio9_orion.beats import Beats
from studio9_orion.core.asking import asked_for
from studio9_orion.core.events import Cleaned, Emptied
from studio9_orion.core.keeping import attempt_prefix, emptied, fence_of, job_prefix, kept_fences, scratch_prefix
from studio9_orion.gatherer import Gatherer
from studio9_orion.providers.port import Order
from studio9_orion.shell import Ended, Shell

CLEAN_EVERY_S = 0.25
"""Least time between two batches that are not full: nobody waits for them, and one search for relatives, one read and
two writes do for all that gather meanwhile."""
FULL = 64
"""Jobs that are cleaned together: few enough that a slow object storage does not hold back the acknowledgements."""
OWN_EVERY_S, OWN_FULL = 0.5, 200
"""The same of the orders that are carried out without being published."""
OWN_WITHIN_S = 60.0
"""An order that was not carried out here within this time is published, as one that was forgotten."""
AT_ONCE = 16
"""Jobs whose objects are removed at the same time."""
CHILDREN_AT_ONCE = 200
"""Children that are read, emptied and marked together; what was marked need not be done again."""
UNHEARD = frozenset({"requested", "queued", "assigned", "completed"})
"""The life of a job whose only attempt's result came before a beat moved it on."""
FEW_FENCES = 8
"""With so few, each prefix is removed by itself; with more, one listing finds those that hold anything."""


class Cleaner:
    """The handler of `orion.clean.v1`, and of the orders of the jobs that end here while it is started."""

    def __init__(self, shell: Shell, objects: Objects, beats: Beats) -> None:
        self._shell, self._objects, self._beats = shell, objects, beats
        self._own: Gatherer[str] = Gatherer("clean", self.clean, every_s=OWN_EVERY_S, most=OWN_FULL)

    def start(self) -> None:
        self._own.start()

    async def stop(self) -> None:
        await self._own.stop(rest=False)

    def take(self, order: Order) -> bool:
        """Whether this order, just written, is carried out here; else it is to be published."""
        mine = order.command.type == JobClean.type and self._own.runs
        if mine:
            self._own.add(order.job.id)
        return mine

    def holds(self, order: Order) -> bool:
        """Whether this order still waits here to be carried out: nobody else needs to."""
        return order.command.type == JobClean.type and self._own.holds(order.job.id, within_s=OWN_WITHIN_S)

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Raises Unavailable while store or objects are away, BadMessage for what can never be read."""
        ids = []
        for delivery in deliveries:
            data = decode(delivery.body).data
            if not isinstance(data, JobClean):
                raise BadInput(f"{data.type} does not belong into this queue", field="type", value=data.type)
            ids.append(data.job)
        loop = asyncio.get_running_loop()
        until = loop.time() + CLEAN_EVERY_S
        await self.clean(ids)
        if len(deliveries) < FULL:
            for delivery in deliveries:
                await delivery.ack()
            await asyncio.sleep(until - loop.time())

    async def clean(self, ids: Sequence[str]) -> None:
        """Cleans up after jobs that have ended; others are left alone."""
        over = await self._over(ids)
        if not over:
            return
        await self._shell.tell_related([Ended.of(job) for job in over])
        await self._remove(over)
        await self._beats.delete((job.id, fence) for job in over for fence in _heard_fences(job))
        await self.empty_children(over)
        await self._shell.apply([(job.id, Cleaned(parent=job.parent, n=_ordered(job))) for job in over])

    async def _over(self, ids: Sequence[str]) -> list[Job]:
        """Those that have ended. What this Orion wrote as ended need not be read: an end is final."""
        written = [found.job for id in dict.fromkeys(ids) if (found := self._shell.jobs.written(id)) is not None]
        known = {job.id: job for job in written if job.state in TERMINAL}
        read = await self._shell.jobs.load_many(id for id in ids if id not in known)
        return [*known.values(), *(item.job for item in read.values() if item.job.state in TERMINAL)]

    async def empty_children(self, over: Sequence[Job]) -> dict[str, int]:
        """Removes all objects of the children for which tasks of these ended jobs have asked, and of those of them that
        are such children themselves and whose parents have ended; returns how many, by prefix.

        A child that has not ended yet is left alone: the order to clean up after it comes later, and finds its parent
        ended. So either is read after the other is known to have ended."""
        jobs = self._shell.jobs
        parents = {job.id: job for job in over if job.children_made}
        found = dict.fromkeys(child.job for parent in parents.values() for child in parent.children)
        if parents:
            found |= {job.id: None async for job in jobs.children_of(list(parents)) if not emptied(job)}
        children = [job for job in over if asked_for(job) and not emptied(job)]
        found |= {job.id: None for job in children}
        parents |= {id: one.job for id, one in (await jobs.load_many(job.parent or "" for job in children)).items()}
        ids, removed = list(found), dict[str, int]()
        for start in range(0, len(ids), CHILDREN_AT_ONCE):
            loaded = await jobs.load_many(ids[start : start + CHILDREN_AT_ONCE])
            needless = [one.job for one in loaded.values() if _needless(one.job, parents)]
            removed |= await self._remove(needless, all_of=True)
            await self._shell.apply(
                [(job.id, Emptied(parent_state=parents[job.parent or ""].state)) for job in needless]
            )
        return removed

    async def _remove(self, jobs: Iterable[Job], *, all_of: bool = False) -> dict[str, int]:
        room = asyncio.Semaphore(AT_ONCE)

        async def remove(job: Job) -> dict[str, int]:
            async with room:
                if all_of:
                    return await self._delete((job_prefix(job), scratch_prefix(job)))
                return await self.remove_objects(job)

        several = await asyncio.gather(*(remove(job) for job in jobs))
        return {prefix: count for removed in several for prefix, count in removed.items()}

    async def remove_objects(self, job: Job, *, with_checkpoint: bool = True) -> dict[str, int]:
        """Removes a terminal job's scratch objects and superseded attempts; returns how many, by prefix."""
        kept = kept_fences(job, with_checkpoint=with_checkpoint)
        prefixes = [scratch_prefix(job)]
        prefixes += [attempt_prefix(job, fence) for fence in await self._fences(job) if fence not in kept]
        return await self._delete(prefixes)

    async def _delete(self, prefixes: Sequence[str]) -> dict[str, int]:
        removed = {prefix: await self._objects.delete_prefix(prefix) for prefix in prefixes}
        return {prefix: count for prefix, count in removed.items() if count}

    async def _fences(self, job: Job) -> Sequence[int]:
        if job.fence <= FEW_FENCES:
            return range(1, job.fence + 1)
        fences = {fence_of(job, info.key) async for info in self._objects.list(job_prefix(job))}
        return sorted(fence for fence in fences if fence is not None)


def _needless(job: Job, parents: Mapping[str, Job]) -> bool:
    """Whether nobody needs what this job has left: it was asked for by a task, and that task's job has ended."""
    parent = parents.get(job.parent or "")
    return (
        job.state in TERMINAL
        and parent is not None
        and parent.state in TERMINAL
        and parent.organisation == job.organisation
        and asked_for(job)
        and not emptied(job)
    )


def _ordered(job: Job) -> int:
    """The last order to clean that the job holds."""
    return max((command.n for command in job.outbox if command.type == JobClean.type), default=0)


def _heard_fences(job: Job) -> range:
    """The fences that may have left a beat; older ones were deleted when a sweep found them superseded. None of a job
    that ended before it was seen to begin; what a beat that was late by then has left is the sweep's, too."""
    if all(event.type in UNHEARD for event in job.events):
        return range(0)
    return range(max(1, job.fence - 2 * FEW_FENCES), job.fence + 1)
