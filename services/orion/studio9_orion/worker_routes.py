"""The operators' API of workers: who is there, what each does, and taking one out of service.

A drained worker takes no new job and finishes what it has; it remembers that across restarts until it is resumed.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from studio9_common.bus.port import Bus, Unroutable
from studio9_common.contracts.collections import JOBS, WORKERS, job_of
from studio9_common.contracts.envelope import SYSTEM, encode
from studio9_common.contracts.messages import WorkerDrain
from studio9_common.documents.port import Where
from studio9_common.errors import Conflict, NotFound
from studio9_common.times import format_time
from studio9_orion.access import PlatformOperator
from studio9_orion.jobs import OPEN_STATES
from studio9_orion.joining.members import removed_among
from studio9_orion.machines import Machines
from studio9_orion.shell import Shell
from studio9_orion.store import find, get
from studio9_orion.worker_state import shown_state

Hours = Annotated[float, Query(gt=0, le=24 * 31)]


class WorkerAway(Conflict):
    """This worker is not connected, so it cannot be told; it gets no jobs either until it is back."""

    code = "worker_away"


def router(shell: Shell, bus: Bus) -> APIRouter:
    """The routes over Orion's own parts."""
    routes = APIRouter(prefix="/v1/workers")
    store = shell.jobs.store
    machines = Machines(store)

    def shown(id: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": id, **body, "state": shown_state(body, shell.clock.now(), shell.policy.lease_s)}

    async def worker(id: str) -> dict[str, Any]:
        document = await get(store, WORKERS.name, id)
        if document is None:
            raise NotFound(f"there is no worker {id}", field="id", value=id)
        return document.body

    async def tell(id: str, *, draining: bool) -> dict[str, Any]:
        await worker(id)
        now = shell.clock.now()
        message = WorkerDrain(worker=id, draining=draining, at=format_time(now))
        try:
            await bus.publish(encode(message, source="orion", organisation=SYSTEM, now=now, mandatory=True))
        except Unroutable:
            raise WorkerAway(field="id", value=id) from None
        return {"worker": id, "draining": draining}

    @routes.get("")
    async def workers(_: PlatformOperator) -> dict[str, Any]:
        """Every worker, the one that was heard last first. `state`: ready, draining, drained, away."""
        hits = find(store, WORKERS.name, Where(), sort=("-last_seen",), fresh=True)
        found = [shown(item.id, item.body) async for item in hits]
        gone = await removed_among(store, [one["id"] for one in found])
        return {"items": [one for one in found if one["id"] not in gone]}

    @routes.get("/{id}")
    async def one(_: PlatformOperator, id: str) -> dict[str, Any]:
        """A worker, and the jobs that it has."""
        body = await worker(id)
        where = Where(equals={"worker": id, "state": OPEN_STATES})
        held = [job_of(item.body) async for item in find(store, JOBS.name, where, sort=("created_at",), fresh=True)]
        jobs = [
            {"id": job.id, "organisation": job.organisation, "kind": job.spec.kind, "phase": job.phase} for job in held
        ]
        return {**shown(id, body), "jobs": jobs}

    @routes.get("/{id}/history")
    async def history(_: PlatformOperator, id: str, hours: Hours = 1.0) -> dict[str, Any]:
        """What its machine and GPUs measured, about a minute apart, the oldest first."""
        return {"items": await machines.history(id, shell.clock.now(), hours)}

    @routes.post("/{id}/drain", status_code=202)
    async def drain(_: PlatformOperator, id: str) -> dict[str, Any]:
        """It takes no new job from now on, and finishes what it has."""
        return await tell(id, draining=True)

    @routes.post("/{id}/resume", status_code=202)
    async def resume(_: PlatformOperator, id: str) -> dict[str, Any]:
        """It takes jobs again."""
        return await tell(id, draining=False)

    return routes
