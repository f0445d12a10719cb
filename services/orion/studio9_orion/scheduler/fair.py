"""The scheduler's pure function: priority class, then weighted fair share between organisations, then priority within
one, then first come first served. No job blocks another that fits where it does not.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from studio9_common.contracts.job import Requirements
from studio9_orion.providers.port import Place, fits
from studio9_orion.scheduler.model import CLASSES, Assignment, Candidate, Plan, Shares

CHARGE_S = 60.0
"""What an assignment counts as use within its own pass, before it has used anything."""

Shape = tuple[Requirements, bool]


@dataclass(slots=True)
class _Organisation:
    name: str
    used: float
    weight: float
    running: int
    limit: int | None
    queue: list[Candidate]
    at: int = 0


def schedule(queue: Iterable[Candidate], slots: Sequence[Place], shares: Shares, now: str) -> Plan:
    """Who goes where now. `now` is RFC 3339 text; candidates whose `not_before` is later wait.

    The organisation that has used least of its weighted share is served next, with its first job that fits a free
    slot and its limits. Deterministic: the same arguments give the same plan.
    """
    taken: dict[int, int] = {}
    assignments: list[Assignment] = []
    waiting: list[Candidate] = []
    counts = _Counts(shares)
    by_class: dict[str, list[Candidate]] = {}
    for candidate in queue:
        by_class.setdefault(candidate.priority_class, []).append(candidate)
    for name in sorted(by_class, key=_rank):
        left = _serve(by_class[name], slots, taken, counts, assignments, now)
        waiting += left
    places = tuple(replace(place, free=place.free - taken.get(index, 0)) for index, place in enumerate(slots))
    return Plan(tuple(assignments), tuple(waiting), places)


class _Counts:
    """Use and running jobs, as the pass goes on."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.used = dict(shares.usage)
        self.running = dict(shares.running)
        self.projects = dict(shares.running_projects)

    def share(self, organisation: str) -> float:
        weight = self.shares.weights.get(organisation, 1.0)
        return self.used.get(organisation, 0.0) / max(weight, 1e-9)

    def full(self, candidate: Candidate) -> bool:
        limit = self.shares.limits.get(candidate.organisation)
        if limit is not None and self.running.get(candidate.organisation, 0) >= limit:
            return True
        key = (candidate.organisation, candidate.project or "")
        limit = self.shares.project_limits.get(key)
        return limit is not None and self.projects.get(key, 0) >= limit

    def assigned(self, candidate: Candidate) -> None:
        name, key = candidate.organisation, (candidate.organisation, candidate.project or "")
        self.used[name] = self.used.get(name, 0.0) + CHARGE_S
        self.running[name] = self.running.get(name, 0) + 1
        self.projects[key] = self.projects.get(key, 0) + 1


def _serve(
    candidates: list[Candidate],
    slots: Sequence[Place],
    taken: dict[int, int],
    counts: _Counts,
    assignments: list[Assignment],
    now: str,
) -> list[Candidate]:
    queues: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        queues.setdefault(candidate.organisation, []).append(candidate)
    for mine in queues.values():
        mine.sort(key=lambda candidate: candidate.order, reverse=True)
    heap = [(counts.share(name), mine[-1].order, name) for name, mine in queues.items()]
    heapq.heapify(heap)
    hopeless: set[Shape] = set()
    left: list[Candidate] = []
    while heap:
        _, _, name = heapq.heappop(heap)
        mine = queues[name]
        candidate = mine.pop()
        index = None if _waits(candidate, counts, now) else _place(candidate, slots, taken, hopeless)
        if index is None:
            left.append(candidate)
        else:
            place = slots[index]
            taken[index] = taken.get(index, 0) + 1
            counts.assigned(candidate)
            assignments.append(Assignment(candidate.job, place.worker, place.provider, place.kind))
        if mine:
            heapq.heappush(heap, (counts.share(name), mine[-1].order, name))
    return left


def _waits(candidate: Candidate, counts: _Counts, now: str) -> bool:
    return (candidate.not_before is not None and candidate.not_before > now) or counts.full(candidate)


def _place(candidate: Candidate, slots: Sequence[Place], taken: dict[int, int], hopeless: set[Shape]) -> int | None:
    """The index of the best place with a free slot: the smallest that fits, without a GPU where none is needed, the
    worker with most room. A shape that found none once finds none in this pass."""
    shape = (candidate.needs, candidate.image is not None)
    if shape in hopeless:
        return None
    best: tuple[tuple[bool, float, int, str], int] | None = None
    for index, place in enumerate(slots):
        room = place.free - taken.get(index, 0)
        if room > 0 and fits(candidate.needs, candidate.image, place):
            key = (place.kind == "gpu", place.gpu_memory_gib, -room, place.worker)
            if best is None or key < best[0]:
                best = (key, index)
    if best is None:
        hopeless.add(shape)
        return None
    return best[1]


def _rank(name: str) -> tuple[int, str]:
    return (CLASSES.index(name) if name in CLASSES else len(CLASSES), name)
