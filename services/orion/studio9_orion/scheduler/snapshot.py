"""Why a job waits: one small document per pool after a pass, and what it means for one job, worked out when asked."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from studio9_common.contracts.job import Job, Phase
from studio9_orion.providers.port import Place, fits
from studio9_orion.scheduler.model import Plan, Shares, candidate

LISTED = 400
"""Jobs whose place in the queue is told exactly."""


def snapshot(plan: Plan, shares: Shares) -> dict[str, Any]:
    """What a pass left: the places, the jobs in the order in which they will be served, limits. Under 64 KiB."""
    shapes: Counter[tuple[Any, ...]] = Counter()
    free: Counter[tuple[Any, ...]] = Counter()
    for place in plan.places:
        shape = (place.kind, place.gpu_memory_gib, tuple(sorted(place.labels)), place.isolated)
        shapes[shape] += place.total
        free[shape] += place.free
    return {
        "places": [
            {"kind": s[0], "gpu_memory_gib": s[1], "labels": list(s[2]), "isolated": s[3], "total": n, "free": free[s]}
            for s, n in sorted(shapes.items())[:100]
        ],
        "waiting": len(plan.waiting),
        "order": [[one.job, one.organisation, one.priority_class] for one in plan.waiting[:LISTED]],
        "limits": {name: [shares.running.get(name, 0), limit] for name, limit in list(shares.limits.items())[:500]},
    }


def why_waiting(job: Job, taken: dict[str, Any] | None) -> str:
    """For a user: why this job has no slot, by the last snapshot (None: there is none yet)."""
    match job.phase:
        case Phase.submitted:
            names = ", ".join(job.depends_on) or job.parent or "another job"
            return f"waits for {names}"
        case Phase.backing_off:
            why = job.reason.code if job.reason else "a failure"
            return f"tries again at {job.not_before} after {why}"
        case Phase.queued:
            return _queued(job, taken)
    return ""


def _queued(job: Job, taken: dict[str, Any] | None) -> str:
    if taken is None:
        return "has just arrived"
    mine = candidate(job)
    places = [_place(one) for one in taken["places"]]
    wanted = _needs(job)
    fitting = [one for one in places if fits(mine.needs, mine.image, one)]
    if not places:
        return f"needs {wanted}; no worker is there"
    if not fitting:
        return f"needs {wanted}; no worker has a slot like that"
    parts = [f"needs {wanted}", _ahead(job, taken["order"], taken["waiting"])]
    if not any(one.free for one in fitting):
        total = sum(one.total for one in fitting)
        parts.append(f"all {total} fitting slots are taken" if total > 1 else "the only fitting slot is taken")
    running, limit = taken["limits"].get(job.organisation, (0, None))
    if limit is not None:
        parts.append(f"organisation limit {running} of {limit}")
    if job.reason is not None:
        parts.append(f"came back: {job.reason.code}")
    return "; ".join(parts)


def _ahead(job: Job, order: Sequence[Sequence[str]], waiting: int) -> str:
    for position, (id, *_) in enumerate(order):
        if id == job.id:
            return "next" if position == 0 else f"{position} job{'s' if position > 1 else ''} ahead"
    return f"more than {len(order)} jobs ahead" if waiting > len(order) else "has just arrived"


def _needs(job: Job) -> str:
    needs = job.spec.requirements
    wanted = "1 slot"
    if needs.gpus:
        wanted = f"{needs.gpus}×{needs.gpu_memory_gib:g} GB GPU" if needs.gpu_memory_gib else f"{needs.gpus} GPU"
    if needs.labels:
        wanted += f" labelled {', '.join(needs.labels)}"
    return wanted + (" that runs images" if job.spec.image else "")


def _place(one: dict[str, Any]) -> Place:
    return Place(
        worker="",
        kind=one["kind"],
        total=one["total"],
        free=one["free"],
        gpu_memory_gib=one["gpu_memory_gib"],
        labels=frozenset(one["labels"]),
        isolated=one["isolated"],
    )
