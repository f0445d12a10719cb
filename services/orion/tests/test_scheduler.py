"""The scheduler's pure function: order, shares, limits, requirements; and why a job waits."""

import time
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from studio9_common.contracts.job import Requirements, Spec
from studio9_common.contracts.messages import Slot
from studio9_common.ids import new_id
from studio9_orion.providers.port import Place, fits
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.model import Candidate, Shares
from studio9_orion.scheduler.snapshot import snapshot, why_waiting
from studio9_orion.scheduler.usage import Usage
from studio9_orion.workers import Worker

NOW = "2026-11-21T10:00:00.000000Z"


def candidate(job: str, organisation: str = "acme", **changes: Any) -> Candidate:
    given: dict[str, Any] = {
        "job": job,
        "organisation": organisation,
        "project": None,
        "priority_class": "cpu",
        "priority": 0,
        "queued_at": f"2026-11-21T09:00:00.{len(job):06d}Z",
        "not_before": None,
        "needs": Requirements(),
    }
    return Candidate(**(given | changes))


def order(queue: list[Candidate], slots: int = 1, shares: Shares | None = None) -> list[str]:
    plan = schedule(queue, [Place("w", total=slots, free=slots)], shares or Shares(), NOW)
    return [one.job for one in plan.assignments]


def test_class_before_share_before_priority_before_arrival() -> None:
    queue = [
        candidate("late", queued_at="2026-11-21T09:30:00.000000Z"),
        candidate("early", queued_at="2026-11-21T09:10:00.000000Z"),
        candidate("urgent", priority=5, queued_at="2026-11-21T09:40:00.000000Z"),
        candidate("poor", "other", queued_at="2026-11-21T09:50:00.000000Z"),
        candidate("training", priority_class="gpu-training"),
        candidate("unknown", priority_class="zzz"),
    ]
    shares = Shares(usage={"acme": 100_000.0})
    assert order(queue, 6, shares) == ["training", "poor", "urgent", "early", "late", "unknown"]


def test_organisations_take_turns_by_weight() -> None:
    queue = [candidate(f"{name}{n:02d}", name) for name in ("a", "b") for n in range(20)]
    served = Counter(job[0] for job in order(queue, 9, Shares(weights={"a": 2.0})))
    assert served == {"a": 6, "b": 3}


def test_limits_of_organisations_and_projects() -> None:
    queue = [candidate(f"j{n}", project="p" if n < 3 else None) for n in range(6)]
    assert len(order(queue, 6, Shares(running={"acme": 2}, limits={"acme": 4}))) == 2
    limited = Shares(project_limits={("acme", "p"): 1})
    assert sorted(order(queue, 6, limited)) == ["j0", "j3", "j4", "j5"]


def test_a_job_that_must_wait_blocks_no_other() -> None:
    queue = [
        candidate("later", priority=9, not_before="2026-11-21T11:00:00.000000Z"),
        candidate("gpu", priority=8, needs=Requirements(gpus=1)),
        candidate("plain"),
    ]
    assert order(queue) == ["plain"]


def test_requirements() -> None:
    small = Place("w1", "gpu", gpu_memory_gib=8, labels=frozenset({"eu"}))
    assert fits(Requirements(gpus=1, gpu_memory_gib=8, labels=("eu",)), None, small)
    assert fits(Requirements(), None, small), "a job without a GPU may use a slot that has one"
    for needs in (
        Requirements(gpus=1, gpu_memory_gib=9),
        Requirements(gpus=2),
        Requirements(labels=("us",)),
    ):
        assert not fits(needs, None, small)
    assert not fits(Requirements(), "sha256:1", small)
    assert fits(Requirements(), "sha256:1", replace(small, isolated=True))


def test_the_smallest_place_that_fits_is_taken() -> None:
    places = [Place("big", "gpu", gpu_memory_gib=80), Place("small", "gpu", gpu_memory_gib=24), Place("cpu")]
    queue = [candidate("a", needs=Requirements(gpus=1, gpu_memory_gib=10)), candidate("b")]
    plan = schedule(queue, places, Shares(), NOW)
    assert {one.job: one.worker for one in plan.assignments} == {"a": "small", "b": "cpu"}


def test_ten_thousand_waiting_jobs_are_passed_quickly() -> None:
    queue = [candidate(new_id(), f"o{n % 100}", priority=n % 7) for n in range(10_000)]
    places = [Place(f"w{n}") for n in range(200)]
    began = time.perf_counter()
    plan = schedule(queue, places, Shares(), NOW)
    assert (len(plan.assignments), len(plan.waiting)) == (200, 9_800)
    assert time.perf_counter() - began < 2.0


@settings(max_examples=100, deadline=None)
@given(
    jobs=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-2, 2), st.sampled_from([0, 0, 1]), st.booleans()), max_size=30
    ),
    slots=st.lists(st.tuples(st.sampled_from(["cpu", "gpu"]), st.integers(0, 3)), max_size=5),
    limit=st.sampled_from([None, 1, 3]),
)
def test_no_slot_is_given_twice_and_none_stays_empty_in_vain(jobs: Any, slots: Any, limit: Any) -> None:
    queue = [
        candidate(
            f"job{n:03d}",
            name,
            priority=priority,
            needs=Requirements(gpus=gpus),
            not_before="2027-01-01T00:00:00.000000Z" if later else None,
        )
        for n, (name, priority, gpus, later) in enumerate(jobs)
    ]
    places = [Place(f"w{n}", kind, total=free, free=free) for n, (kind, free) in enumerate(slots)]
    limits = {} if limit is None else dict.fromkeys("abc", limit)
    plan = schedule(queue, places, Shares(limits=limits), NOW)
    assert plan == schedule(queue, places, Shares(limits=limits), NOW)
    given = Counter(one.worker for one in plan.assignments)
    assert all(given[place.worker] <= place.free for place in places)
    by_id = {one.job: one for one in queue}
    assert {one.job for one in plan.assignments} | {one.job for one in plan.waiting} == set(by_id)
    running = Counter(by_id[one.job].organisation for one in plan.assignments)
    assert limit is None or all(count <= limit for count in running.values())
    for one in plan.waiting:
        held_back = one.not_before is not None or (limit is not None and running[one.organisation] >= limit)
        assert held_back or not any(place.free and fits(one.needs, None, place) for place in plan.places)


def test_over_an_hour_use_follows_the_shares() -> None:
    """Invariant 9: with jobs of 60 s on 4 slots, use differs from the share by at most one job's length per slot."""
    weights = {"a": 1.0, "b": 2.0, "c": 1.0}
    usage, used = Usage(), Counter[str]()
    number = 0
    for minute in range(60):
        queue = [candidate(f"j{number + n:05d}", name) for n, name in enumerate("aaaabbbbcccc")]
        number += 12
        plan = schedule(queue, [Place("w", total=4, free=4)], Shares(usage=usage.values, weights=weights), NOW)
        by_id = {one.job: one.organisation for one in queue}
        running = Counter(by_id[one.job] for one in plan.assignments)
        used.update({name: count * 60 for name, count in running.items()})
        usage = usage.later((minute + 1) * 60.0, running)
    total = sum(used.values())
    for name, weight in weights.items():
        assert abs(used[name] - total * weight / 4) <= 4 * 60


def test_use_decays_and_is_forgotten() -> None:
    usage = Usage(0.0, {"a": 1_000.0})
    assert usage.later(3_600.0, {}).values["a"] == 500.0
    assert usage.later(60 * 3_600.0, {}).values == {}
    assert Usage(0.0).later(10.0, {"b": 3}).values == {"b": 30.0}


def test_slots_that_a_beat_does_not_show_yet_or_still() -> None:
    worker = Worker("w", "ready", NOW, (Slot(id="1", job="old"), Slot(id="2"), Slot(id="3", kind="gpu")))
    assert [place.free for place in worker.places()] == [1, 1]
    assert [place.free for place in worker.places(busy=["new"])] == [0, 1], "given, but not in a slot yet"
    assert [place.free for place in worker.places(busy=["old"])] == [1, 1]
    assert [place.free for place in worker.places(ended=frozenset({"old"}))] == [2, 1]
    assert [place.free for place in replace(worker, state="draining").places()] == [0, 0]


def waits(life: Any, plan_for: list[Candidate], places: list[Place], shares: Shares | None = None) -> str:
    shares = shares or Shares()
    return why_waiting(life.job, snapshot(schedule(plan_for, places, shares, NOW), shares))


def test_why_a_job_waits(life: Any) -> None:
    needs = Requirements(gpus=1, gpu_memory_gib=24)
    life.request(spec=Spec(kind="train", requirements=needs))
    mine = candidate(life.id, needs=needs)
    ahead = [candidate(f"x{n}", needs=needs, priority=1) for n in range(2)]
    full = [Place("w", "gpu", total=1, free=0, gpu_memory_gib=24)]
    assert why_waiting(life.job, None) == "has just arrived"
    assert waits(life, [mine], []) == "needs 1×24 GB GPU; no worker is there"
    assert waits(life, [mine], [Place("w")]) == "needs 1×24 GB GPU; no worker has a slot like that"
    assert waits(life, [mine], full) == "needs 1×24 GB GPU; next; the only fitting slot is taken"
    limits = Shares(running={"acme": 3}, limits={"acme": 3})
    free = [Place("w", "gpu", total=4, free=4, gpu_memory_gib=24)]
    assert waits(life, [*ahead, mine], free, limits) == ("needs 1×24 GB GPU; 2 jobs ahead; organisation limit 3 of 3")
    life.assign().result("refused")
    assert waits(life, [mine], full).endswith("came back: no_slot")


def test_why_other_phases_wait(life: Any, new_life: Any) -> None:
    assert why_waiting(life.request(depends_on=("a", "b")).job, None) == "waits for a, b"
    backing_off = new_life().request().assign().beat().pass_deadline("silent").job
    assert why_waiting(backing_off, None).startswith("tries again at 2026-")
    assert why_waiting(new_life().request().assign().job, None) == ""
