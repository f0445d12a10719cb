"""What the worker tells over HTTP: where it stands, for operators and tests."""

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel

from studio9_common.contracts.messages import AttemptBeat, Slot
from studio9_common.errors import Unavailable
from studio9_common.http.app import ServiceCaller
from studio9_worker.agent import Agent
from studio9_worker.lease import AttemptKey


class AttemptStatus(BaseModel):
    """An attempt as a beat tells it, and where its lease stands: leased, cut_off or given_up."""

    attempt: AttemptBeat
    lease: str
    stop: str | None


class Status(BaseModel):
    """One worker. `draining`: it takes no new job; `refused` counts runs that were not begun."""

    worker: str
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    attempts: tuple[AttemptStatus, ...]
    draining: bool
    refused: int


def router(agent: Callable[[], Agent | None]) -> APIRouter:
    """`GET /v1/status`, for callers with a service token."""
    routes = APIRouter()

    @routes.get("/v1/status")
    async def status(_: ServiceCaller) -> Status:
        running = agent()
        if running is None:
            raise Unavailable("the worker has not started yet")
        context = running.context
        now, grace_s = context.clock.monotonic(), context.settings.disconnect_grace_s

        def standing(key: AttemptKey) -> str:
            held = running.leases.held.get(key)
            return "given_up" if held is None else held.standing(now, grace_s)

        refusals = await context.state.refusals()
        return Status(
            worker=context.worker,
            slots=running.slots.occupied(running.occupied()),
            labels=running.slots.labels,
            attempts=tuple(
                AttemptStatus(attempt=life.beat(0), lease=standing(life.record.key), stop=life.record.stop)
                for life in running.lives
            ),
            draining=running.draining,
            refused=sum(count for *_, count in refusals),
        )

    return routes
