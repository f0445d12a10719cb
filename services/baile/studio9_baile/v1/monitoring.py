"""`/v1/monitoring`: workers, GPUs and the queue; `/v1/catalogue`: what can be trained; `/v1/compute-profiles`."""

from typing import Any

from studio9_baile.usecases import monitoring
from studio9_baile.usecases.training import PROFILES
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer

routes = router(tag="monitoring")


class WorkerAnswer(Answer):
    """A worker; `slots` counts its slots by kind."""

    id: str
    state: str | None = None
    labels: list[str]
    last_seen: str | None = None
    slots: dict[str, int]


class GpuAnswer(Answer):
    """A GPU slot; memory is GiB, `free_gib` what is really free now."""

    worker: str
    slot: str | None = None
    memory_gib: float
    free_gib: float
    taken: bool
    last_seen: str | None = None


class WaitingAnswer(Answer):
    """A job of the caller that has no slot yet, and why."""

    job: str
    kind: str
    why: str


class QueueAnswer(Answer):
    """`waiting` counts jobs of the whole installation; `queued` and `running` the organisation's own; `mine` are the
    caller's that wait."""

    waiting: int
    queued: int
    running: int
    mine: list[WaitingAnswer]


@routes.get("/monitoring/workers", response_model_exclude_none=True)
async def workers(core: TheCore, _: TheCaller) -> list[WorkerAnswer]:
    return [WorkerAnswer(**one) for one in await monitoring.workers(core)]


@routes.get("/monitoring/gpu", response_model_exclude_none=True)
async def gpu(core: TheCore, _: TheCaller) -> list[GpuAnswer]:
    return [GpuAnswer(**one) for one in await monitoring.gpus(core)]


@routes.get("/monitoring/queue")
async def queue(core: TheCore, caller: TheCaller) -> QueueAnswer:
    state = await monitoring.queue(core, caller)
    mine = [WaitingAnswer(job=one.process.id, kind=one.process.kind, why=one.why) for one in state.mine]
    return QueueAnswer(waiting=state.waiting, queued=state.queued, running=state.running, mine=mine)


@routes.get("/catalogue")
async def catalogue(core: TheCore, _: TheCaller) -> dict[str, Any]:
    """Architectures, heads and their parameters with ranges and defaults: what `config` of a training may hold."""
    return (await core.catalogue.current()).model_dump(mode="json", exclude_none=True)


@routes.get("/compute-profiles")
async def profiles(_: TheCaller) -> list[str]:
    return list(PROFILES)
