"""Whatever comes and goes: no limit is passed, no slot is given twice, none stays empty in vain, nobody starves, and
the kept queues are what their jobs say."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from studio9_common.contracts.job import Requirements
from studio9_common.times import format_time
from studio9_orion.providers.port import Place, fits_now
from studio9_orion.scheduler.fair import in_order, schedule
from studio9_orion.scheduler.model import Candidate, Plan, Shares, slots_of
from studio9_orion.scheduler.queues import Queues
from studio9_orion.scheduler.usage import Usage

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
CLASSES = ("gpu-training", "cpu")
SHAPES = (
    Requirements(),
    Requirements(gpus=1, gpu_memory_gib=8),
    Requirements(gpus=1, gpu_memory_gib=20),
    Requirements(gpus=2, gpu_memory_gib=8),
    Requirements(labels=("eu",)),
)
WORKERS: dict[str, tuple[Any, tuple[float, ...], frozenset[str]]] = {
    "cpu": ("cpu", (0.0, 0.0), frozenset()),
    "eu": ("cpu", (0.0,), frozenset({"eu"})),
    "pair": ("gpu", (24.0, 24.0), frozenset()),
    "odd": ("gpu", (24.0, 10.0, 8.0), frozenset()),
}
PATIENCE = timedelta(seconds=600)


class Cluster(RuleBasedStateMachine):
    """Jobs of three organisations on four workers; time passes, limits change, jobs come, change, leave and end."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.n = START, 0
        self.queues, self.known = Queues(), dict[str, Candidate]()
        self.held: dict[str, tuple[str, Candidate, tuple[float, ...]]] = {}
        self.free = {name: sorted(memory) for name, (_, memory, _) in WORKERS.items()}
        self.usage, self.active = Usage(START.timestamp()), dict[str, set[str]]()
        self.spent: dict[tuple[str, str], float] = defaultdict(float)
        self.limit: int | None = None
        self.project_limit: int | None = None

    @initialize(limit=st.sampled_from([None, 1, 3]), project_limit=st.sampled_from([None, None, 2]))
    def limits(self, limit: int | None, project_limit: int | None) -> None:
        self.limit, self.project_limit = limit, project_limit

    @rule(
        name=st.sampled_from("abc"),
        shape=st.sampled_from(SHAPES),
        priority=st.integers(-1, 1),
        priority_class=st.sampled_from(CLASSES),
        project=st.sampled_from([None, "p"]),
        later=st.sampled_from([0, 0, 30]),
        count=st.integers(1, 4),
    )
    def submit(self, name: str, shape: Requirements, count: int, later: float, **given: Any) -> None:
        for _ in range(count):
            self.n += 1
            not_before = format_time(self.now + timedelta(seconds=later)) if later else None
            queued_at = format_time(self.now)
            self._put(
                Candidate(f"{self.n:05d}", name, queued_at=queued_at, not_before=not_before, needs=shape, **given)
            )

    @rule(data=st.data(), priority=st.integers(-2, 2))
    def change_priority(self, data: st.DataObject, priority: int) -> None:
        if self.known:
            old = self.known[data.draw(st.sampled_from(sorted(self.known)))]
            self._put(replace(old, priority=priority))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.known:
            job = data.draw(st.sampled_from(sorted(self.known)))
            del self.known[job]
            assert self.queues.pop(job) is not None
            assert self.queues.pop(job) is None

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.held:
            self._end(data.draw(st.sampled_from(sorted(self.held))))

    @rule(seconds=st.sampled_from([1.0, 20.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self._wait(seconds)

    @rule(most=st.sampled_from([1, 3, 1_000]))
    def serve(self, most: int) -> None:
        self._serve(most)

    @invariant()
    def queues_are_what_their_jobs_say(self) -> None:
        assert set(self.queues) == set(self.known)
        ready = [one for one in self.known.values() if one.not_before is None]
        waiting = {(one.priority_class, one.organisation) for one in ready}
        shown = {(name, one) for name in self.queues.classes() for one in self.queues.organisations(name)}
        assert waiting <= shown
        for name in self.queues.classes():
            for one in self.queues.organisations(name):
                for _, orders in self.queues.groups(name, one):
                    assert orders == sorted(orders)
                    assert orders

    def teardown(self) -> None:
        """Nobody starves: when each served job ends, everything that fits somewhere is served at last."""
        for _ in range(20 * (len(self.known) + len(self.held)) + 20):
            if not self.known:
                break
            self._wait(700.0)
            self._serve(1_000)
            if self.held:
                self._end(min(self.held))
        assert not self.known, "all shapes fit some worker"

    # --- how -------------------------------------------------------------------------------------------------------

    def _put(self, candidate: Candidate) -> None:
        self.known[candidate.job] = candidate
        self.queues.put(candidate)

    def _wait(self, seconds: float) -> None:
        for _, one, _ in self.held.values():
            self.spent[one.priority_class, one.organisation] += seconds * slots_of(one.needs)
        self.now += timedelta(seconds=seconds)

    def _end(self, job: str) -> None:
        worker, _, memory = self.held.pop(job)
        self.free[worker] = sorted([*self.free[worker], *memory])

    def _places(self) -> list[Place]:
        return [
            Place(
                name,
                kind,
                total=len(memory),
                free=len(self.free[name]),
                gpu_memory_gib=max(memory),
                labels=labels,
                slots_gib=tuple(sorted(memory, reverse=True)),
                free_gib=tuple(reversed(self.free[name])),
            )
            for name, (kind, memory, labels) in WORKERS.items()
        ]

    def _shares(self) -> Shares:
        running = [one for _, one, _ in self.held.values()]
        held: Counter[tuple[str, str]] = Counter()
        for one in running:
            held[one.priority_class, one.organisation] += slots_of(one.needs)
        shares = Shares(
            held=held,
            running=Counter(one.organisation for one in running),
            running_projects=Counter((one.organisation, one.project or "") for one in running),
            limit=self.limit,
            project_limit=self.project_limit,
            weights={"a": 2.0},
        )
        waiting = {name: set(self.queues.organisations(name)) for name in self.queues.classes()}
        active = {name: set(organisations) for name, organisations in waiting.items()}
        for name, organisation in held:
            active.setdefault(name, set()).add(organisation)
        later = self.usage.later(self.now.timestamp(), self.spent, waiting, shares)
        self.usage, self.active = later.joined(self.active, active), active
        self.spent.clear()
        return replace(shares, usage=self.usage.values)

    def _serve(self, most: int) -> None:
        self.queues.wake(format_time(self.now))
        places, shares, long_ago = self._places(), self._shares(), format_time(self.now - PATIENCE)
        plan = schedule(self.queues, places, shares, most=most, long_ago=long_ago)
        assert plan == schedule(self.queues, places, shares, most=most, long_ago=long_ago), "the same again"
        again = Queues(reversed(list(self.known.values())))
        again.wake(format_time(self.now))
        assert plan == schedule(again, places, shares, most=most, long_ago=long_ago), "in whatever order they came"
        assert len(plan.assignments) <= most
        for one in plan.assignments:
            self._begin(self.known.pop(one.job), one.worker)
            self.queues.pop(one.job)
        self._limits_hold(shares)
        assert sorted(len(place.free_memory) for place in plan.places) == sorted(map(len, self.free.values()))
        if not plan.cut:
            self._nothing_is_left_in_vain(plan)
        listed = [one.job for one in in_order(self.queues, shares, 1_000)]
        assert sorted(listed) == sorted(set(self.queues) - self._early())

    def _begin(self, one: Candidate, worker: str) -> None:
        kind, _, labels = WORKERS[worker]
        assert one.not_before is None or one.not_before <= format_time(self.now)
        assert set(one.needs.labels) <= labels
        assert not one.needs.gpus or kind == "gpu"
        enough = [memory for memory in self.free[worker] if memory >= one.needs.gpu_memory_gib or not one.needs.gpus]
        taken = tuple(enough[: slots_of(one.needs)])
        assert len(taken) == slots_of(one.needs), "a slot was given twice, or to a job that it does not fit"
        for memory in taken:
            self.free[worker].remove(memory)
        self.held[one.job] = (worker, one, taken)

    def _limits_hold(self, before: Shares) -> None:
        running = Counter(one.organisation for _, one, _ in self.held.values())
        assert self.limit is None or all(
            count <= max(self.limit, before.running.get(name, 0)) for name, count in running.items()
        )
        projects = Counter((one.organisation, one.project) for _, one, _ in self.held.values() if one.project)
        assert self.project_limit is None or all(count <= self.project_limit for count in projects.values())

    def _nothing_is_left_in_vain(self, plan: Plan) -> None:
        running = Counter(one.organisation for _, one, _ in self.held.values())
        projects = Counter((one.organisation, one.project or "") for _, one, _ in self.held.values())
        places = [place for place in self._places() if place.worker != plan.kept]
        for job in set(self.queues) - self._early():
            one = self.known[job]
            full = self.limit is not None and running[one.organisation] >= self.limit
            if one.project and self.project_limit is not None:
                full = full or projects[one.organisation, one.project] >= self.project_limit
            assert full or not any(fits_now(one.needs, one.untrusted, place) for place in places)

    def _early(self) -> set[str]:
        now = format_time(self.now)
        return {job for job, one in self.known.items() if one.not_before is not None and one.not_before > now}


Cluster.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestCluster = Cluster.TestCase
