"""The operators' API of priorities: moves a waiting job within its organisation's queue."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from studio9_common.contracts.envelope import SYSTEM
from studio9_common.errors import Conflict, NotFound
from studio9_orion.access import Operator
from studio9_orion.core import Answer
from studio9_orion.core.events import PriorityChanged
from studio9_orion.shell import Shell


class TooLate(Conflict):
    """The job has ended, so its priority means nothing any more."""

    code = "too_late"


class Priority(BaseModel):
    """The larger the earlier; 0 is usual. Who asks, for the job's history."""

    model_config = ConfigDict(extra="forbid")
    priority: int = Field(ge=-1_000_000, le=1_000_000)
    requested_by: str = Field("operator", min_length=1, max_length=128)


def router(shell: Shell) -> APIRouter:
    """The routes over Orion's own parts."""
    routes = APIRouter(prefix="/v1")

    @routes.put("/jobs/{id}/priority")
    async def priority(caller: Operator, id: str, body: Priority) -> dict[str, Any]:
        """Sets a job's priority, durably; it counts from the scheduler's next pass on. `changed`: it was another."""
        found = await shell.jobs.load(id)
        if found is None or caller.organisation not in (SYSTEM, found.job.organisation):
            raise NotFound(f"there is no job {id}", field="id", value=id)
        event = PriorityChanged(
            organisation=found.job.organisation, priority=body.priority, requested_by=body.requested_by
        )
        decision = (await shell.apply([(id, event)])).decisions[0]
        if decision.answer is Answer.too_late or decision.job is None:
            raise TooLate(field="id", value=id)
        job = decision.job
        return {"job": id, "priority": job.priority, "changed": decision.changed, "phase": job.phase}

    return routes
