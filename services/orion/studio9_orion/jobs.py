"""Jobs in the store: bulk reads in real time, bulk writes by compare-and-set, and the searches that find work."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from studio9_common.clients.aries import BulkItem
from studio9_common.contracts.collections import JOBS, job_document, job_of
from studio9_common.contracts.job import TERMINAL, Job, Phase
from studio9_common.documents.port import Where
from studio9_common.ids import is_id
from studio9_orion.store import Store, check, find

OPEN_STATES = ("submitted", "queued", "running")
REMEMBERED = 5_000
"""Jobs that are known as they were written last."""
HELD_PHASES = (Phase.assigned.value, Phase.starting.value, Phase.running.value, Phase.cancelling.value)


@dataclass(frozen=True, slots=True)
class Versioned:
    """A job and the version under which it was read."""

    job: Job
    version: str


class Jobs:
    """See the module's docstring. Searches lag; whatever they find is read again before it is decided on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._written: OrderedDict[str, tuple[Versioned, float]] = OrderedDict()
        """With the moment of the write."""

    def written(self, id: str) -> Versioned | None:
        """The job as this Orion wrote it last, if it was lately. Others may have written since: what is decided by it
        holds only if it is then written by compare-and-set."""
        found = self._written.get(id)
        return found[0] if found is not None else None

    async def load(self, id: str) -> Versioned | None:
        return (await self.load_many([id])).get(id)

    async def load_many(self, ids: Iterable[str]) -> dict[str, Versioned]:
        """Those that exist, by id. An id that is no UUIDv7 names no job."""
        wanted = [id for id in dict.fromkeys(ids) if is_id(id)]
        if not wanted:
            return {}
        found = await self.store.get_many(JOBS.name, wanted)
        return {item.id: Versioned(job_of(item.body), item.etag) for item in found if item is not None}

    async def load_recent(self, ids: Iterable[str], *, within_s: float) -> dict[str, Versioned]:
        """As `load_many`, but what this Orion wrote within so many seconds is taken as it wrote it; an end, which is
        final, however long ago. It may be as old as what an Orion reads that is then slow for so long; whoever could
        not bear that uses `load_many`."""
        since = asyncio.get_running_loop().time() - within_s
        recent: dict[str, Versioned] = {}
        others: list[str] = []
        for id in dict.fromkeys(ids):
            written = self._written.get(id)
            if written is not None and (written[1] >= since or written[0].job.state in TERMINAL):
                recent[id] = written[0]
            else:
                others.append(id)
        return recent | await self.load_many(others)

    async def save_many(self, writes: Sequence[tuple[Job, str | None]]) -> list[bool]:
        """One entry per write: whether it was made; False: somebody else wrote in the meantime. A version of None
        creates. Raises Unavailable if any is in doubt; what was written then is found by the next reader."""
        if not writes:
            return []
        items = [
            BulkItem(action="create" if version is None else "replace", id=job.id, body=job_document(job), etag=version)
            for job, version in writes
        ]
        for job, _ in writes:
            self._written.pop(job.id, None)
        moment = asyncio.get_running_loop().time()
        outcomes = await self.store.bulk(JOBS.name, items)
        for (job, _), outcome in zip(writes, outcomes, strict=True):
            if outcome.status < 300 and outcome.etag is not None:
                self._written[job.id] = Versioned(job, outcome.etag), moment
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        return [check(JOBS.name, outcome) for outcome in outcomes]

    def due(self, now: str, *, most: int) -> AsyncIterator[Job]:
        """Jobs with a deadline that has passed, the oldest first."""
        return self._find(Where(below={"next_deadline": now}), sort=("next_deadline",), most=most, fresh=True)

    def unsent(self, before: str, *, most: int) -> AsyncIterator[Job]:
        """Jobs with a command in the outbox since before a time."""
        return self._find(Where(below={"outbox_since": before}), sort=("outbox_since",), most=most)

    def queued(self, *, most: int) -> AsyncIterator[Job]:
        """Jobs that wait for a slot."""
        where = Where(equals={"phase": Phase.queued.value})
        return self._find(where, sort=("queued_at",), most=most, fresh=True)

    def held(self, *, most: int = 10_000) -> AsyncIterator[Job]:
        """Jobs that a worker has."""
        return self._find(Where(equals={"phase": HELD_PHASES}), most=most, fresh=True)

    async def held_by(self, worker: str) -> list[str]:
        """The ids of the jobs that a worker has."""
        where = Where(equals={"worker": worker, "phase": HELD_PHASES})
        return [job.id async for job in self._find(where, sort=("created_at",), most=10_000, fresh=True)]

    def ended(self, since: str, until: str, *, most: int = 10_000) -> AsyncIterator[Job]:
        """Terminal jobs that ended within a time, `until` excluded."""
        where = Where(
            equals={"state": tuple(state.value for state in sorted(TERMINAL))},
            at_least={"ended_at": since},
            below={"ended_at": until},
        )
        return self._find(where, sort=("ended_at",), most=most)

    def ended_and_changed(self, since: str, until: str, *, most: int = 10_000) -> AsyncIterator[Job]:
        """Terminal jobs whose document changed within a time, `until` excluded: by their end, by being cleaned up
        (after an outage long after it), or because somebody still reported about an attempt of theirs."""
        where = Where(
            equals={"state": tuple(state.value for state in sorted(TERMINAL))},
            at_least={"updated_at": since},
            below={"updated_at": until},
        )
        return self._find(where, sort=("updated_at",), most=most)

    async def related_to(self, ended: Sequence[str]) -> list[Job]:
        """Jobs not yet ended that are children of, or depend on, any of these."""
        found: dict[str, Job] = {}
        for field in ("parent", "depends_on"):
            where = Where(equals={field: tuple(ended), "state": OPEN_STATES})
            async for job in self._find(where, most=10_000):
                found[job.id] = job
        return list(found.values())

    def children_of(self, parents: Sequence[str]) -> AsyncIterator[Job]:
        """All children of these jobs, whoever has requested them, ended or not."""
        return self._find(Where(equals={"parent": tuple(parents)}), most=10_000 * len(parents))

    async def _find(
        self, where: Where, *, sort: Sequence[str] = (), most: int, fresh: bool = False
    ) -> AsyncIterator[Job]:
        async for item in find(self.store, JOBS.name, where, sort=sort, most=most, fresh=fresh):
            yield job_of(item.body)
