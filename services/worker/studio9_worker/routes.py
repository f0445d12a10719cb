"""What the worker tells and is told over HTTP: where it stands, draining; for operators, those of this machine too."""

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel

from studio9_common.contracts.messages import AttemptBeat, Slot, WorkerDrain
from studio9_common.errors import Unavailable
from studio9_common.http.app import ServiceCaller
from studio9_common.times import format_time
from studio9_worker.agent import Agent
from studio9_worker.lease import AttemptKey

HAND_BACK_S = 60.0
"""Longer than any task has between SIGTERM and SIGKILL."""


class AttemptStatus(BaseModel):
    """An attempt as a beat tells it, and where its lease stands: leased, cut_off or given_up."""

    attempt: AttemptBeat
    lease: str
    stop: str | None


class Status(BaseModel):
    """One worker. `runner`: how its tasks run; `draining`: it takes no new job; `refused` counts runs that were not
    begun."""

    worker: str
    runner: str
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    attempts: tuple[AttemptStatus, ...]
    draining: bool
    refused: int


def router(agent: Callable[[], Agent | None]) -> APIRouter:
    """`GET /v1/status`, `POST /v1/drain`, `POST /v1/resume`, for callers with a service token."""
    routes = APIRouter()

    def started() -> Agent:
        running = agent()
        if running is None:
            raise Unavailable("the worker has not started yet")
        return running

    async def tell(*, draining: bool) -> None:
        context = started().context
        at = format_time(context.clock.now())
        await started().drain(WorkerDrain(worker=context.worker, draining=draining, at=at))

    @routes.post("/v1/drain", status_code=204)
    async def drain(_: ServiceCaller, hand_back: bool = False) -> None:
        """It takes no new job from now on. `hand_back`: what it has is stopped at a checkpoint, to go on elsewhere."""
        await tell(draining=True)
        if hand_back:
            await started().stop_tasks(HAND_BACK_S)

    @routes.post("/v1/resume", status_code=204)
    async def resume(_: ServiceCaller) -> None:
        """It takes jobs again."""
        await tell(draining=False)

    @routes.get("/v1/status")
    async def status(_: ServiceCaller) -> Status:
        running = started()
        context = running.context
        now, grace_s = context.clock.monotonic(), context.settings.disconnect_grace_s

        def standing(key: AttemptKey) -> str:
            held = running.leases.held.get(key)
            return "given_up" if held is None else held.standing(now, grace_s)

        refusals = await context.state.refusals()
        return Status(
            worker=context.worker,
            runner=context.runner.name,
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
