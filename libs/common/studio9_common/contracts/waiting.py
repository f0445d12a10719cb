"""Why a job waits: the snapshot that the leading Orion leaves after a pass, and what it means for one job, worked out
when somebody asks. One document per pool, `snapshot:{pool}` of the collection `scheduler`, whatever the queue's length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from studio9_common.contracts.job import Job, Phase, Requirements
from studio9_common.contracts.reasons import Reason, reason

POOL = "default"
SNAPSHOT = f"snapshot:{POOL}"
"""The id of the snapshot's document."""


class PlaceTaken(TypedDict):
    """Workers that are alike. `memory_gib`: of each slot of one worker, the most first (0 without a GPU). `free`: free
    slots of all. `best_gib`: at n, the most memory that n + 1 free slots of one worker really have."""

    kind: str
    labels: list[str]
    isolated: bool
    memory_gib: list[float]
    total: int
    free: int
    best_gib: list[float]


class Snapshot(TypedDict):
    """What a pass left. `order` holds the jobs that are served next, each with its index in `shapes` (GPUs, GiB of
    each, labels, whether only a container will do) and in `organisations`. Limits are [running, limit]."""

    places: list[PlaceTaken]
    waiting: int
    shapes: list[tuple[int, float, list[str], bool]]
    organisations: list[str]
    order: list[tuple[str, int, int]]
    limits: dict[str, list[int]]
    project_limits: dict[str, dict[str, list[int]]]


def why_waiting(job: Job, taken: Mapping[str, Any] | None) -> str:
    """For a user: why this job has no slot, by the last snapshot (None: there is none yet). Empty where it has one."""
    match job.phase:
        case Phase.submitted:
            names = ", ".join(job.depends_on) or job.parent or "another job"
            unknown = next((event.detail for event in job.events if event.type == "dependency_unknown"), "")
            told = f"; not known in this organisation when it was looked for: {unknown}" if unknown else ""
            return f"waits for {names}{told}"
        case Phase.backing_off if open_ := [child for child in job.children if child.state is None]:
            return f"waits for {len(open_)} of the {len(job.children)} children that its task asked for"
        case Phase.backing_off:
            why = job.reason.code if job.reason else "a failure"
            return f"tries again at {job.not_before} after {why}"
        case Phase.queued:
            return _queued(job, taken)
    return ""


def waiting_reason(job: Job, taken: Mapping[str, Any] | None) -> Reason | None:
    """What must be done before this job can have a slot, where waiting alone will not help; None elsewhere. Of a job
    that only a container will do for, while no worker runs containers."""
    if job.phase is not Phase.queued or not job.spec.untrusted or taken is None or "shapes" not in taken:
        return None
    places: list[PlaceTaken] = taken["places"]
    return None if any(place["isolated"] for place in places) else reason("isolation_required")


def _queued(job: Job, taken: Mapping[str, Any] | None) -> str:
    if taken is None or "shapes" not in taken:
        return "has just arrived"
    needs, untrusted = job.spec.requirements, job.spec.untrusted
    wanted = f"needs {_wanted(needs, untrusted)}"
    places: list[PlaceTaken] = taken["places"]
    fitting = [place for place in places if _fits(place, needs.gpus, needs.gpu_memory_gib, needs.labels, untrusted)]
    if not places:
        return f"{wanted}; no worker is there"
    if not fitting:
        return f"{wanted}; no worker has {'slots' if needs.gpus > 1 else 'a slot'} like that"
    full = _full(job, taken)
    parts = [wanted, _ahead(job, taken, fitting, full), _room(needs, fitting), *_limits(job, taken)]
    if job.reason is not None:
        parts.append(f"came back: {job.reason.code}")
    return "; ".join(part for part in parts if part)


def _fits(place: PlaceTaken, gpus: int, memory_gib: float, labels: Sequence[str], untrusted: bool) -> bool:
    if not set(labels) <= set(place["labels"]) or (untrusted and not place["isolated"]):
        return False
    memory = place["memory_gib"]
    return not gpus or (place["kind"] == "gpu" and len(memory) >= gpus and memory[gpus - 1] >= memory_gib)


def _room(needs: Requirements, fitting: Sequence[PlaceTaken]) -> str:
    """What is wrong with the places, if it is they that are waited for."""
    count = max(needs.gpus, 1)
    best = max((place["best_gib"][count - 1] for place in fitting if len(place["best_gib"]) >= count), default=None)
    if best is not None and (not needs.gpus or best >= needs.gpu_memory_gib):
        return ""
    if best is not None:
        return f"at most {best:g} GB are really free on {'each of ' if count > 1 else ''}{count} fitting GPU" + (
            "s" if count > 1 else ""
        )
    free = sum(place["free"] for place in fitting)
    if free:
        return f"{free} fitting slot{'s are' if free > 1 else ' is'} free, but not {count} of one worker"
    total = sum(place["total"] for place in fitting)
    return f"all {total} fitting slots are taken" if total > 1 else "the only fitting slot is taken"


def _full(job: Job, taken: Mapping[str, Any]) -> bool:
    return any(running >= limit for running, limit in _limits_of(job, taken).values())


def _limits_of(job: Job, taken: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    found = {}
    if job.organisation in taken["limits"]:
        found["organisation"] = tuple(taken["limits"][job.organisation])
    mine = taken["project_limits"].get(job.organisation, {})
    if job.project in mine:
        found["project"] = tuple(mine[job.project])
    return found


def _limits(job: Job, taken: Mapping[str, Any]) -> list[str]:
    return [f"{name} limit {running} of {limit}" for name, (running, limit) in _limits_of(job, taken).items()]


def _ahead(job: Job, taken: Mapping[str, Any], fitting: Sequence[PlaceTaken], full: bool) -> str:
    """How many jobs are served before it of those that could take its place: where a limit holds it, only its own
    organisation's count."""
    organisations = taken["organisations"]
    before = 0
    for id, shape, organisation in taken["order"]:
        if id == job.id:
            return "next" if not before else f"{before} job{'s' if before > 1 else ''} ahead"
        own = organisations[organisation] == job.organisation
        if (own or not full) and any(_fits(place, *taken["shapes"][shape]) for place in fitting):
            before += 1
    if job.not_before is not None:
        return f"not before {job.not_before}"
    listed = len(taken["order"])
    return f"more than {listed} jobs ahead" if taken["waiting"] > listed else "has just arrived"


def _wanted(needs: Requirements, untrusted: bool) -> str:
    wanted = "1 slot"
    if needs.gpus:
        wanted = f"{needs.gpus}×{needs.gpu_memory_gib:g} GB GPU" if needs.gpu_memory_gib else f"{needs.gpus} GPU"
    if needs.labels:
        wanted += f" labelled {', '.join(needs.labels)}"
    return wanted + (" in a container" if untrusted else "")
