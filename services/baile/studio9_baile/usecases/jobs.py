"""Jobs as the platform knows them: their attempts and life, their whole result, what they measured."""

from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.jobs.news import ENDED, Ended
from studio9_baile.jobs.results import Result, read_manifest, read_result
from studio9_baile.models.jobs import Process
from studio9_baile.usecases.access import may_see_job
from studio9_common.contracts.collections import SCHEDULER
from studio9_common.contracts.job import Job, Phase, State
from studio9_common.contracts.messages import TelemetryItem
from studio9_common.contracts.reasons import Reason
from studio9_common.contracts.waiting import SNAPSHOT, waiting_reason, why_waiting
from studio9_common.documents.port import Where
from studio9_common.errors import Conflict, NotFound

MOST_METRICS = 100_000
"""Values of one answer."""


class JobMissing(NotFound):
    """There is no such job that you may see; check its id, or ask its owner to share the asset that it works on."""

    code = "job_missing"


class NoResultYet(Conflict):
    """The job has not completed, so it has no result; look at its status."""

    code = "no_result"


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A process and its job; the job is None until Orion has accepted it. `waiting`: why it has no slot yet; empty
    where it does not wait. `held_by`: what must be done before it can have one."""

    process: Process
    job: Job | None
    waiting: str = ""
    held_by: Reason | None = None

    @property
    def ended(self) -> Ended | None:
        """How it ended, as far as Baile has heard."""
        return None if self.process.ended is None else ENDED.validate_python(self.process.ended)


async def get_job(core: Core, caller: Caller, identifier: str) -> KnownJob:
    """A job that the caller may see. Raises JobMissing, Unavailable."""
    process = await _process(core, caller, identifier)
    found = (await core.aries.get_jobs([process.id], organisation=caller.organisation))[0]
    if found is None:
        return KnownJob(process, None)
    job = found[0]
    taken = await _taken(core, [job])
    return KnownJob(process, job, why_waiting(job, taken), waiting_reason(job, taken))


async def waiting_of(core: Core, jobs: Collection[Job]) -> dict[str, str]:
    """Why each of some jobs has no slot yet, by id; empty where one has. Raises Unavailable."""
    taken = await _taken(core, jobs)
    return {job.id: why_waiting(job, taken) for job in jobs}


async def _taken(core: Core, jobs: Collection[Job]) -> dict[str, Any] | None:
    """What the scheduler's last pass left, where one of the jobs waits for it."""
    if all(job.phase is not Phase.queued for job in jobs):
        return None
    snapshot = await core.aries.find(SCHEDULER.name, SNAPSHOT)
    return snapshot.body["snapshot"] if snapshot else None


async def get_result(core: Core, caller: Caller, identifier: str) -> Result:
    """The task's whole result. Raises JobMissing, NoResultYet, BadResult, Unavailable."""
    process = await _process(core, caller, identifier)
    ended = None if process.ended is None else ENDED.validate_python(process.ended)
    if ended is None or ended.state is not State.completed:
        raise NoResultYet
    return await read_result(core, await read_manifest(core, caller.organisation, ended.manifest))


async def get_metrics(core: Core, caller: Caller, identifier: str) -> list[TelemetryItem]:
    """What the job measured, by time: at most MOST_METRICS values. Raises JobMissing, Unavailable."""
    process = await _process(core, caller, identifier)
    found: list[TelemetryItem] = []
    async for item in _telemetry(core, process):
        if item.kind == "metric" and item.key is not None and item.value is not None:
            found.append(item)
            if len(found) == MOST_METRICS:
                break
    return sorted(found, key=lambda item: item.time)


async def get_measured(core: Core, process: Process, most_logs: int) -> tuple[list[TelemetryItem], list[TelemetryItem]]:
    """What a job measured, by time, and its last log lines."""
    metrics: list[TelemetryItem] = []
    logs: deque[TelemetryItem] = deque(maxlen=most_logs)
    async for item in _telemetry(core, process):
        if item.kind == "log":
            logs.append(item)
        elif item.kind == "metric" and item.key is not None and item.value is not None and len(metrics) < MOST_METRICS:
            metrics.append(item)
    return sorted(metrics, key=lambda item: item.time), list(logs)


async def _telemetry(core: Core, process: Process) -> AsyncIterator[TelemetryItem]:
    where = Where(equals={"organisation": process.organisation, "job": process.id})
    batches = core.aries.search_all(
        "telemetry", where, sort=["fence", "sequence"], fresh=True, organisation=process.organisation
    )
    async for batch in batches:
        items: list[dict[str, Any]] = batch.body.get("items", [])
        for item in items:
            yield TelemetryItem.model_validate(item)


async def _process(core: Core, caller: Caller, identifier: str) -> Process:
    async with core.database.read(caller.organisation) as work:
        process = await work.processes.find(identifier)
        if process is None or not await may_see_job(work, caller, process):
            raise JobMissing
    return process
