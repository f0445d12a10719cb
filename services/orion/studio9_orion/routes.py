"""The operators' API of jobs: each with its history, its last log lines, and why it waits. Service tokens only."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from studio9_common.contracts.collections import BEATS, JOBS, SCHEDULER, job_of
from studio9_common.contracts.envelope import Envelope
from studio9_common.contracts.job import TERMINAL, Job, Phase, dump
from studio9_common.contracts.messages import JobCancel, JobRequested
from studio9_common.contracts.waiting import SNAPSHOT, why_waiting
from studio9_common.documents.port import Where
from studio9_common.errors import Conflict, NotFound
from studio9_common.ids import new_id
from studio9_common.times import format_time
from studio9_common.tokens import Caller
from studio9_common.tracing import current_traceparent
from studio9_orion.access import Operator
from studio9_orion.beats import beat_id
from studio9_orion.core.asking import asked_for
from studio9_orion.dispatcher import Dispatcher
from studio9_orion.logs import last_lines
from studio9_orion.shell import Shell
from studio9_orion.store import get

SYSTEM = "system"
HEARD = ("worker", "phase", "progress", "received_at", "lease_until", "detail")
Limit = Annotated[int, Query(ge=1, le=500)]


class NotEnded(Conflict):
    """Only a job that has ended can be retried; cancel it first, or wait for its end."""

    code = "not_ended"


class RemovedWithParent(Conflict):
    """What this job needs and makes is removed when its parent, whose task has asked for it, ends. Retry that one."""

    code = "removed_with_parent"


class Cancel(BaseModel):
    """Who cancels, for the job's history."""

    model_config = ConfigDict(extra="forbid")
    requested_by: str = "operator"


def router(shell: Shell, dispatcher: Dispatcher) -> APIRouter:
    """The routes over Orion's own parts."""
    routes = APIRouter(prefix="/v1")
    store = shell.jobs.store

    async def job_for(caller: Caller, id: str) -> Job:
        found = await shell.jobs.load(id)
        if found is None or caller.organisation not in (SYSTEM, found.job.organisation):
            raise NotFound(f"there is no job {id}", field="id", value=id)
        return found.job

    async def snapshot() -> dict[str, Any] | None:
        document = await get(store, SCHEDULER.name, SNAPSHOT)
        return document.body["snapshot"] if document else None

    @routes.get("/jobs")
    async def jobs(
        caller: Operator,
        state: str | None = None,
        kind: str | None = None,
        organisation: str | None = None,
        worker: str | None = None,
        limit: Limit = 100,
        after: str | None = None,
    ) -> dict[str, Any]:
        """Jobs, the newest first; up to a second behind."""
        given = {"state": state, "kind": kind, "organisation": organisation, "worker": worker}
        equals = {name: value for name, value in given.items() if value is not None}
        if caller.organisation != SYSTEM:
            equals["organisation"] = caller.organisation
        page = await store.search(JOBS.name, Where(equals=equals), sort=("-created_at",), limit=limit, after=after)
        taken = await snapshot()
        return {"items": [_short(job_of(item.body), taken) for item in page.items], "next": page.next}

    @routes.get("/jobs/{id}")
    async def job(caller: Operator, id: str) -> dict[str, Any]:
        """A job with all that is known of it. `heard` is the last beat of the attempt that runs."""
        found = await job_for(caller, id)
        beat = await get(store, BEATS.name, beat_id(id, found.fence)) if found.state not in TERMINAL else None
        heard = {name: beat.body.get(name) for name in HEARD} if beat else None
        return {**dump(found), "why_waiting": why_waiting(found, await snapshot()) or None, "heard": heard}

    @routes.get("/jobs/{id}/logs")
    async def logs(caller: Operator, id: str, lines: Limit = 50, fence: int | None = None) -> dict[str, Any]:
        """The last log lines of an attempt, by default of the last one."""
        return {"items": await last_lines(store, await job_for(caller, id), fence=fence, lines=lines)}

    @routes.get("/jobs/{id}/events")
    async def events(caller: Operator, id: str) -> dict[str, Any]:
        """Its life-cycle events."""
        return {"items": dump(await job_for(caller, id))["events"]}

    @routes.post("/jobs/{id}/cancel")
    async def cancel(caller: Operator, id: str, body: Cancel | None = None) -> dict[str, Any]:
        """Cancels, durably; `answer` is too_late for a job that finished first."""
        found = await job_for(caller, id)
        message = JobCancel(job=id, requested_by=(body or Cancel()).requested_by)
        applied = await dispatcher.take([_envelope(shell, found.organisation, message)])
        now = applied.jobs[id]
        return {"answer": applied.decisions[0].answer, "state": now.state, "phase": now.phase}

    @routes.post("/jobs/{id}/retry", status_code=201)
    async def retry(caller: Operator, id: str) -> dict[str, Any]:
        """A new job like this one, which goes on from its last checkpoint. Durable when it is answered."""
        old = await job_for(caller, id)
        if old.state not in TERMINAL:
            raise NotEnded(field="id", value=id)
        if asked_for(old):
            raise RemovedWithParent(field="id", value=id)
        request = JobRequested(
            job=new_id(),
            owner=old.owner,
            project=old.project,
            spec=old.spec,
            priority=old.priority,
            priority_class=old.priority_class,
            retried_from=old.id,
            context=old.context,
        )
        await dispatcher.take([_envelope(shell, old.organisation, request)])
        return {"job": request.job, "retried_from": old.id}

    @routes.get("/queue")
    async def queue(caller: Operator, limit: Limit = 100) -> dict[str, Any]:
        """The jobs that wait, and why each does."""
        waiting = (Phase.submitted.value, Phase.queued.value, Phase.backing_off.value)
        equals: dict[str, Any] = {"phase": waiting}
        if caller.organisation != SYSTEM:
            equals["organisation"] = caller.organisation
        page = await store.search(JOBS.name, Where(equals=equals), sort=("created_at",), limit=limit, fresh=True)
        taken = await snapshot()
        return {"items": [_short(job_of(item.body), taken) for item in page.items], "next": page.next}

    return routes


def _envelope(shell: Shell, organisation: str, data: JobCancel | JobRequested) -> Envelope:
    time = format_time(shell.clock.now())
    return Envelope(
        id=new_id(),
        type=data.type,
        source="/studio9/orion",
        organisation=organisation,
        time=time,
        data=data,
        traceparent=current_traceparent(),
    )


def _short(job: Job, taken: dict[str, Any] | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": job.id,
        "organisation": job.organisation,
        "kind": job.spec.kind,
        "state": job.state,
        "phase": job.phase,
        "priority": job.priority,
        "attempts": len(job.attempts),
        "worker": job.attempts[-1].worker if job.attempts else None,
        "reason": job.reason.code if job.reason else None,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "why_waiting": why_waiting(job, taken) or None,
    }
    return {name: value for name, value in body.items() if value is not None}
