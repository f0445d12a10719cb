"""Reads the jobs that have not ended from Aries once a minute: messages make things fast, stores decide."""

from collections import defaultdict

from studio9_baile.bell import RESULTS
from studio9_baile.core import Core
from studio9_baile.jobs.news import apply, of_job
from studio9_baile.jobs.telling import tell
from studio9_common.contracts.messages import JobCancel, JobRequested

BATCH = 200
"""Processes of one multi-get and one transaction."""


class Rereader:
    """The step of the re-reading loop."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def step(self) -> bool:
        """Brings every live process in step with its job. Raises Unavailable."""
        after = ""
        while True:
            async with self._core.database.system(writing=False) as system:
                scopes = await system.live_processes(after, BATCH)
            if not scopes:
                return False
            after = scopes[-1].id
            by_organisation: defaultdict[str, list[str]] = defaultdict(list)
            for scope in scopes:
                by_organisation[scope.organisation].append(scope.id)
            for organisation, jobs in by_organisation.items():
                await self.read(organisation, jobs)

    async def read(self, organisation: str, jobs: list[str]) -> None:
        """Reads these jobs in one call and applies what is new. Jobs that are not there yet are waited for: their
        requests are still in the outbox."""
        found = await self._core.aries.get_jobs(jobs, organisation=organisation)
        known = [item[0] for item in found if item is not None]
        if not known:
            return
        async with self._core.database.write(organisation) as work:
            for job in known:
                process = await work.processes.find(job.id, lock=True)
                if process is None:
                    continue
                await work.outbox.settle(job.id, work.now, JobRequested.type)
                news = of_job(job)
                if news.ended is not None:
                    await work.outbox.settle(job.id, work.now, JobCancel.type)
                if apply(process, news):
                    tell(work, process)
                    if news.ended is not None:
                        work.rings.add(RESULTS)
