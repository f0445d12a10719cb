"""What the installation's workers have, and what waits for them. Others' jobs are counted, never named."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process, ProcessStatus
from studio9_common.contracts.collections import SCHEDULER, WORKERS
from studio9_common.contracts.job import Phase
from studio9_common.contracts.waiting import SNAPSHOT, why_waiting

MOST_WAITING = 200
"""Jobs of the caller whose reasons are told."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job of the caller that has no slot yet, and why."""

    process: Process
    why: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """`waiting`: jobs of the whole installation; the others are the caller's organisation's."""

    waiting: int
    queued: int
    running: int
    mine: list[Waiting]


async def workers(core: Core) -> list[dict[str, Any]]:
    """Every worker: id, state, labels, when it was seen, its slots by kind."""
    found = []
    async for document in core.aries.search_all(WORKERS.name, sort=("-last_seen",)):
        body = document.body
        slots: list[dict[str, Any]] = body.get("slots") or []
        found.append(
            {
                "id": document.id,
                "state": body.get("state"),
                "labels": body.get("labels") or [],
                "last_seen": body.get("last_seen"),
                "slots": dict(Counter(str(slot.get("kind", "cpu")) for slot in slots)),
            }
        )
    return found


async def gpus(core: Core) -> list[dict[str, Any]]:
    """Every GPU slot of every worker: memory in GiB, and whether it is taken; by whom is nobody else's business."""
    found = []
    async for document in core.aries.search_all(WORKERS.name, sort=("-last_seen",)):
        for slot in document.body.get("slots") or []:
            if slot.get("kind") == "gpu":
                found.append(
                    {
                        "worker": document.id,
                        "slot": slot.get("id"),
                        "memory_gib": slot.get("gpu_memory_gib", 0.0),
                        "free_gib": slot.get("gpu_memory_free_gib", 0.0),
                        "taken": slot.get("job") is not None,
                        "last_seen": document.body.get("last_seen"),
                    }
                )
    return found


async def queue(core: Core, caller: Caller) -> QueueState:
    """What waits, and why the caller's own jobs do. Raises Unavailable."""
    document = await core.aries.find(SCHEDULER.name, SNAPSHOT)
    snapshot = document.body["snapshot"] if document is not None else None
    async with core.database.read(caller.organisation) as work:
        row = work.processes.row
        queued = await work.processes.count(row.status == ProcessStatus.QUEUED)
        running = await work.processes.count(row.status == ProcessStatus.RUNNING)
        mine = (await work.processes.all(row.status == ProcessStatus.QUEUED, row.owner == caller.user))[:MOST_WAITING]
    found = await core.aries.get_jobs([one.id for one in mine], organisation=caller.organisation) if mine else []
    waiting = []
    for process, read in zip(mine, found, strict=True):
        if read is None:
            waiting.append(Waiting(process, "is being handed over to the scheduler"))
        elif read[0].phase in (Phase.submitted, Phase.queued, Phase.backing_off):
            waiting.append(Waiting(process, why_waiting(read[0], snapshot)))
    return QueueState(int((snapshot or {}).get("waiting", 0)), queued, running, waiting)
