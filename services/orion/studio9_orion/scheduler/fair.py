"""The scheduler's pure function: priority class, then weighted fair share between organisations, then priority within
one, then first come first served. No job blocks another that fits where it does not, but for one that needs several
GPUs of a worker and has waited for long: what is free there is kept for it.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

from studio9_orion.providers.port import Place
from studio9_orion.scheduler.model import Assignment, Candidate, Order, Plan, Share, Shares, slots_of
from studio9_orion.scheduler.queues import Group, Queues
from studio9_orion.scheduler.rooms import Rooms

CHARGE_S = 10.0
"""What a held slot counts as use beforehand: otherwise whoever asks first would get all slots of one moment."""
NO_END = 1 << 30


def schedule(
    queues: Queues,
    places: Sequence[Place],
    shares: Shares,
    *,
    most: int = NO_END,
    long_ago: str = "",
) -> Plan:
    """Who goes where now: at most `most` assignments.

    The organisation that has used least of its weighted share is served next, with its first job that fits a free
    slot and its limits. Jobs that need several slots of one worker and were queued before `long_ago` (RFC 3339 text)
    may keep a worker's free slots from others. Deterministic: the same arguments give the same plan, and nothing of
    them is changed.
    """
    rooms, counts = Rooms(places), _Counts(shares)
    assignments: list[Assignment] = []
    kept: str | None = None
    for name in sorted(queues.classes(), key=lambda one: rank(one, shares.classes)):
        if rooms.left <= 0 or len(assignments) >= most:
            break
        turns, hopeful = _Turns(queues, name, counts), set(queues.shapes(name))
        while rooms.left > 0 and hopeful and len(assignments) < most:
            turn = turns.next()
            if turn is None:
                break
            organisation, (shape, project), order = turn
            if shape not in hopeful or counts.full(organisation, project):
                turns.close()
                continue
            index = rooms.take(shape)
            if index is None:
                if kept is None and shape[0].gpus > 1 and order[1] < long_ago:
                    at = rooms.keep(shape)
                    kept = places[at].worker if at is not None else None
                hopeful.discard(shape)
                turns.close()
                continue
            place = places[index]
            assignments.append(Assignment(order[2], place.worker, place.provider, place.kind))
            counts.assigned((name, organisation), project, slots_of(shape[0]))
            turns.served()
    cut = len(assignments) >= most and rooms.left > 0
    return Plan(tuple(assignments), rooms.after(), cut, kept)


def in_order(queues: Queues, shares: Shares, most: int) -> list[Candidate]:
    """The first jobs in the order in which they would be served if slots came one after the other, limits aside."""
    return [queues[job] for job in islice(_in_order(queues, shares), most)]


def rank(name: str, classes: Sequence[str]) -> tuple[int, str]:
    """Where a priority class comes; the lower the earlier."""
    return (classes.index(name) if name in classes else len(classes), name)


def _in_order(queues: Queues, shares: Shares) -> Iterator[str]:
    counts = _Counts(shares)
    for name in sorted(queues.classes(), key=lambda one: rank(one, shares.classes)):
        turns = _Turns(queues, name, counts)
        while (turn := turns.next()) is not None:
            organisation, (shape, project), order = turn
            yield order[2]
            counts.assigned((name, organisation), project, slots_of(shape[0]))
            turns.served()


class _Counts:
    """Use and running jobs, as the pass goes on."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.held = dict(shares.held)
        self.running = dict(shares.running)
        self.projects = dict(shares.running_projects)

    def share(self, key: Share) -> float:
        return self.shares.usage.get(key, 0.0) + CHARGE_S * self.held.get(key, 0) / self.shares.weight_of(key[1])

    def full(self, organisation: str, project: str) -> bool:
        limit = self.shares.limit_of(organisation)
        if limit is not None and self.running.get(organisation, 0) >= limit:
            return True
        limit = self.shares.project_limit_of(organisation, project) if project else None
        return limit is not None and self.projects.get((organisation, project), 0) >= limit

    def assigned(self, key: Share, project: str, slots: int) -> None:
        self.held[key] = self.held.get(key, 0) + slots
        self.running[key[1]] = self.running.get(key[1], 0) + 1
        self.projects[key[1], project] = self.projects.get((key[1], project), 0) + 1


class _Turns:
    """Whose turn it is in one class: a heap of organisations, each with a heap of the first jobs of its groups."""

    def __init__(self, queues: Queues, priority_class: str, counts: _Counts) -> None:
        self._class, self._counts = priority_class, counts
        self._orders: dict[tuple[str, Group], list[Order]] = {}
        self._heads: dict[str, list[tuple[Order, int, Group]]] = {}
        self._heap: list[tuple[float, Order, str]] = []
        for organisation in queues.organisations(priority_class):
            heads = []
            for group, orders in queues.groups(priority_class, organisation):
                self._orders[organisation, group] = orders
                heads.append((orders[0], 0, group))
            heapq.heapify(heads)
            self._heads[organisation] = heads
            self._heap.append((counts.share((priority_class, organisation)), heads[0][0], organisation))
        heapq.heapify(self._heap)

    def next(self) -> tuple[str, Group, Order] | None:
        """The organisation that is served next, and its first job; None at the end."""
        if not self._heap:
            return None
        organisation = self._heap[0][2]
        order, _, group = self._heads[organisation][0]
        return organisation, group, order

    def close(self) -> None:
        """Nothing of the group whose turn it is gets a slot in this pass."""
        heapq.heappop(self._heads[self._heap[0][2]])
        self._again()

    def served(self) -> None:
        """The job whose turn it was has a slot."""
        organisation = self._heap[0][2]
        heads = self._heads[organisation]
        _, at, group = heads[0]
        orders = self._orders[organisation, group]
        if at + 1 < len(orders):
            heapq.heapreplace(heads, (orders[at + 1], at + 1, group))
        else:
            heapq.heappop(heads)
        self._again()

    def _again(self) -> None:
        organisation = self._heap[0][2]
        heads = self._heads[organisation]
        if heads:
            share = self._counts.share((self._class, organisation))
            heapq.heapreplace(self._heap, (share, heads[0][0], organisation))
        else:
            heapq.heappop(self._heap)
