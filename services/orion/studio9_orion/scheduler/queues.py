"""The jobs that wait, in the order in which a pass looks at them. Kept from pass to pass, so that a pass costs what it
can give away and not what there is.

By class, by organisation, and within it by group: jobs of one shape and project wait for the same things, so where the
first of a group gets no place, none of them does.
"""

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator

from studio9_orion.scheduler.model import Candidate, Order, Shape

Group = tuple[Shape, str]
"""(shape, project); the project is empty where there is none."""


class Queues:
    """See the module's docstring. A mapping of job id → candidate that also knows the order."""

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self._jobs: dict[str, Candidate] = {}
        self._groups: dict[str, dict[str, dict[Group, list[Order]]]] = {}
        self._shapes: dict[str, Counter[Shape]] = {}
        self._later: list[tuple[str, str]] = []
        self._early: set[str] = set()
        for candidate in candidates:
            self.put(candidate)

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __contains__(self, job: str) -> bool:
        return job in self._jobs

    def get(self, job: str) -> Candidate | None:
        return self._jobs.get(job)

    def __getitem__(self, job: str) -> Candidate:
        return self._jobs[job]

    def put(self, candidate: Candidate) -> None:
        """Adds a candidate, in the place of the one that it was. With a `not_before` it waits aside for `wake`."""
        if self._jobs.get(candidate.job) == candidate:
            return
        self.pop(candidate.job, None)
        self._jobs[candidate.job] = candidate
        if candidate.not_before is not None:
            self._early.add(candidate.job)
            heapq.heappush(self._later, (candidate.not_before, candidate.job))
        else:
            self._insert(candidate)

    def pop(self, job: str, default: Candidate | None = None) -> Candidate | None:
        """Takes a job out."""
        known = self._jobs.pop(job, None)
        if known is None:
            return default
        if job in self._early:
            self._early.discard(job)
            return known
        shapes = self._shapes[known.priority_class]
        shapes[known.shape] -= 1
        if not shapes[known.shape]:
            del shapes[known.shape]
        organisations = self._groups[known.priority_class]
        groups = organisations[known.organisation]
        key = (known.shape, known.project or "")
        orders = groups[key]
        del orders[bisect_left(orders, known.order)]
        if not orders:
            del groups[key]
            if not groups:
                del organisations[known.organisation]
                if not organisations:
                    del self._groups[known.priority_class]
        return known

    def clear(self) -> None:
        self._jobs.clear()
        self._groups.clear()
        self._shapes.clear()
        self._later.clear()
        self._early.clear()

    def wake(self, now: str) -> None:
        """Those whose `not_before` has come wait with the others from now on. `now` is RFC 3339 text."""
        while self._later and self._later[0][0] <= now:
            time, job = heapq.heappop(self._later)
            known = self._jobs.get(job)
            if job in self._early and known is not None and known.not_before == time:
                self._early.discard(job)
                self._insert(known)

    @property
    def early(self) -> int:
        """Jobs that wait for their `not_before`."""
        return len(self._early)

    @property
    def next_wake(self) -> str | None:
        """When the next `not_before` comes, at the earliest."""
        return self._later[0][0] if self._later else None

    def classes(self) -> Iterable[str]:
        """The priority classes in which jobs wait for a slot."""
        return self._groups.keys()

    def organisations(self, priority_class: str) -> Iterable[str]:
        """The organisations that wait in a class."""
        return self._groups.get(priority_class, {}).keys()

    def shapes(self, priority_class: str) -> Iterable[Shape]:
        """The shapes of the jobs that wait in a class."""
        return self._shapes[priority_class].keys()

    def groups(self, priority_class: str, organisation: str) -> Iterable[tuple[Group, list[Order]]]:
        """An organisation's groups in a class, each in order. To be read, not changed."""
        return self._groups[priority_class][organisation].items()

    def _insert(self, candidate: Candidate) -> None:
        organisations = self._groups.setdefault(candidate.priority_class, {})
        groups = organisations.setdefault(candidate.organisation, {})
        self._shapes.setdefault(candidate.priority_class, Counter())[candidate.shape] += 1
        insort(groups.setdefault((candidate.shape, candidate.project or ""), []), candidate.order)
