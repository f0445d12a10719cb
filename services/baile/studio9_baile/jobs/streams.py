"""The jobs that Taurus asks for, for the streams of deployments: Baile learns of them when they are under way."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from studio9_baile.bell import RESULTS
from studio9_baile.core import Core
from studio9_baile.jobs.news import apply, of_job
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind
from studio9_common.documents.port import Where
from studio9_common.times import format_time

STREAM = "stream"
"""The key in a job's context that names the deployment."""

FIRST_LOOK = timedelta(days=1)
OVERLAP = timedelta(minutes=5)
"""Searches are a little behind, and clocks differ a little."""


async def process_of(work: Work, job: str, kind: str, context: Mapping[str, Any]) -> Process | None:
    """The new, unlisted process of a job that Baile did not ask for, if its stream is one of this organisation's
    deployments. None for any other job."""
    stream = context.get(STREAM)
    deployment = await work.deployments.find(stream) if isinstance(stream, str) else None
    if deployment is None:
        return None
    process = work.processes.make(
        id=job,
        owner=deployment.owner,
        kind=kind,
        job_type="CV_MODEL_PREDICT",
        target=Kind.ONLINE_JOB.value,
        target_id=deployment.id,
        listed=False,
        context={STREAM: deployment.id, "outputs": {kind: deployment.output}},
        status=ProcessStatus.QUEUED,
        progress=0.0,
        attempt=0,
        result_state=ResultState.none,
        fill_failures=0,
    )
    await work.flush()
    return process


class StreamFinder:
    """Finds the ended jobs of streams whose every message was lost: nothing is waited for that nobody knows of."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._since: datetime | None = None

    async def step(self) -> bool:
        """Looks at what has ended since the last look. Raises Unavailable."""
        now = self._core.clock.now()
        since = (self._since or now - FIRST_LOOK) - OVERLAP
        async with self._core.database.system(writing=False) as system:
            organisations = await system.with_deployments()
        for organisation in organisations:
            where = Where(
                equals={"organisation": organisation, "kind": "predict"}, at_least={"ended_at": format_time(since)}
            )
            found = self._core.aries.search_all("jobs", where, sort=["ended_at"], organisation=organisation)
            await self._take(organisation, [document.id async for document in found])
        self._since = now
        return False

    async def _take(self, organisation: str, jobs: list[str]) -> None:
        async with self._core.database.read(organisation) as work:
            known = await work.processes.many(jobs)
        unknown = [job for job in jobs if job not in known]
        for read in await self._core.aries.get_jobs(unknown, organisation=organisation) if unknown else []:
            if read is None or STREAM not in read[0].context:
                continue
            job = read[0]
            async with self._core.database.write(organisation) as work:
                if await work.processes.find(job.id) is not None:
                    continue
                process = await process_of(work, job.id, job.spec.kind, job.context)
                if process is not None and apply(process, of_job(job)):
                    work.rings.add(RESULTS)
