"""Brings the scheduler's view up to date from the store: in full at take-over, now and then, and after an error; in
between by what changed lately, and by a second look at what should have been heard of.

A hit of a search is only noted where nothing newer is known of its job. Whatever is missed until the next full read (a
clock of another Orion that is late by more than the overlap) costs time, never correctness.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from studio9_common.clients.aries import Document
from studio9_common.contracts.collections import JOBS, job_as_known
from studio9_common.contracts.job import Phase
from studio9_common.documents.port import Where
from studio9_common.times import Clock, format_time
from studio9_orion.jobs import HELD_PHASES, Jobs
from studio9_orion.joining.members import removed_among
from studio9_orion.scheduler.view import View
from studio9_orion.store import pages
from studio9_orion.workers import Worker, Workers

PAGE = 500
AT_ONCE = 50
"""Jobs that are decoded without a pause: few enough that the loop is not held up."""
MOST = 50_000
WANTED = (Phase.queued.value, *HELD_PHASES)


class Reader:
    """See the module's docstring. Times are seconds: `every_s` between two full reads, `overlap_s` that two looks at
    what changed have in common, `heard_s` within which a worker was heard here and is not looked up."""

    def __init__(
        self,
        view: View,
        jobs: Jobs,
        workers: Workers,
        clock: Clock,
        *,
        lease_s: float,
        every_s: float,
        overlap_s: float,
        heard_s: float,
    ) -> None:
        self._view, self._jobs, self._workers, self._clock = view, jobs, workers, clock
        self._lease_s, self._every_s, self._heard_s = lease_s, every_s, heard_s
        self._overlap = timedelta(seconds=overlap_s)
        self._versions: dict[str, str] = {}
        self._heard: dict[str, str] = {}
        self._expelling = asyncio.Lock()
        self._whole_at: datetime | None = None
        self._looked_at: datetime | None = None
        self.reads = 0
        """Full reads since the start."""

    def heard(self, worker: Worker) -> None:
        """A worker's beat came to this Orion."""
        self._heard[worker.id] = worker.last_seen

    def distrust(self) -> None:
        """Something went wrong: the next look is a full read."""
        self._whole_at = None

    async def expel(self, workers: Iterable[str]) -> None:
        """Those of these workers that were removed get nothing from now on; those that joined again do."""
        asked = dict.fromkeys(workers)
        async with self._expelling:  # what was read earlier is noted earlier
            removed = await removed_among(self._jobs.store, list(asked))
            self._view.removed = self._view.removed.difference(asked) | removed

    async def look(self) -> None:
        """What is due now. Raises Unavailable while the store is away."""
        now = self._clock.now()
        if self._whole_at is None or (now - self._whole_at).total_seconds() >= self._every_s:
            await self.whole()
        else:
            await self._changes(now)

    async def whole(self) -> None:
        """Reads all that waits, all that runs and who is there."""
        now = self._clock.now()
        self._whole_at = None
        view = self._view
        view.touched.clear()
        before = [*view.queue, *view.held]
        versions: dict[str, str] = {}
        await self._search(Where(equals={"phase": HELD_PHASES}), (), versions)
        await self._search(Where(equals={"phase": Phase.queued.value}), ("queued_at",), versions)
        await self._again(id for id in before if id not in versions and id not in view.touched)
        await self._see(await self._workers.present(now, self._lease_s))
        self._drop_workers(now)
        self._versions = versions
        self._whole_at = self._looked_at = now
        self.reads += 1

    async def _changes(self, now: datetime) -> None:
        view = self._view
        view.touched.clear()
        since = format_time((self._looked_at or now) - self._overlap)
        where = Where(equals={"phase": WANTED}, at_least={"updated_at": since})
        await self._search(where, ("updated_at",), self._versions)
        await self._again(view.doubtful(timedelta(seconds=self._heard_s)))
        lately = format_time(now - timedelta(seconds=self._heard_s))
        known = [id for id, seen in self._heard.items() if seen >= lately]
        await self._see(await self._workers.present(now, self._lease_s, but=known))
        self._looked_at = now

    async def _search(self, where: Where, sort: Sequence[str], versions: dict[str, str]) -> None:
        async with contextlib.aclosing(
            pages(self._jobs.store, JOBS.name, where, sort=sort, most=MOST, fresh=True, page=PAGE)
        ) as found:
            async for items in found:
                for start in range(0, len(items), AT_ONCE):
                    self._note(items[start : start + AT_ONCE], versions)
                    await asyncio.sleep(0)

    def _note(self, items: Iterable[Document], versions: dict[str, str]) -> None:
        for item in items:
            versions[item.id], before = item.etag, self._versions.get(item.id)
            if before != item.etag and item.id not in self._view.touched:
                self._view.note(job_as_known(item.body), self._clock.now())

    async def _again(self, ids: Iterable[str]) -> None:
        """Reads jobs by id, in real time."""
        wanted = list(ids)
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            found = await self._jobs.load_many(part)
            self._view.take((item.job for item in found.values()), self._clock.now())
            for id in part:
                if id not in found:
                    self._view.forget(id, self._clock.now())

    async def _see(self, present: Sequence[Worker]) -> None:
        """Notes who is there, and of all that are known who was removed."""
        await self.expel([*self._view.workers, *(one.id for one in present)])
        for worker in present:
            self._view.show(worker)

    def _drop_workers(self, now: datetime) -> None:
        """Those that have been silent for so long that not even a late beat could show them."""
        since = format_time(now - timedelta(seconds=10 * self._lease_s))
        for id in [id for id, worker in self._view.workers.items() if worker.last_seen < since]:
            del self._view.workers[id]
            self._heard.pop(id, None)
