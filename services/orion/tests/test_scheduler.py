"""The scheduler's pure function: order, shares, limits, requirements."""

from collections import Counter
from dataclasses import replace
from typing import Any

from studio9_common.contracts.job import Requirements
from studio9_common.contracts.messages import Slot
from studio9_orion.providers.port import Place, fits, fits_now
from studio9_orion.scheduler.fair import in_order, schedule
from studio9_orion.scheduler.model import Assignment, Candidate, Plan, Shares
from studio9_orion.scheduler.queues import Queues
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


def plan_of(queue: list[Candidate], places: list[Place], shares: Shares | None = None, **given: Any) -> Plan:
    queues = Queues(queue)
    queues.wake(NOW)
    return schedule(queues, places, shares or Shares(), **given)


def order(queue: list[Candidate], slots: int = 1, shares: Shares | None = None) -> list[str]:
    return [one.job for one in plan_of(queue, [Place("w", total=slots, free=slots)], shares).assignments]


def test_class_before_share_before_priority_before_arrival() -> None:
    queue = [
        candidate("late", queued_at="2026-11-21T09:30:00.000000Z"),
        candidate("early", queued_at="2026-11-21T09:10:00.000000Z"),
        candidate("urgent", priority=5, queued_at="2026-11-21T09:40:00.000000Z"),
        candidate("poor", "other", queued_at="2026-11-21T09:50:00.000000Z"),
        candidate("training", priority_class="gpu-training"),
        candidate("unknown", priority_class="zzz"),
    ]
    shares = Shares(usage={("cpu", "acme"): 100_000.0})
    expected = ["training", "poor", "urgent", "early", "late", "unknown"]
    assert order(queue, 6, shares) == expected
    assert [one.job for one in in_order(Queues(queue), shares, 6)] == expected
    assert order(queue, 1, Shares(classes=("zzz", "cpu"))) == ["unknown"], "operators name the order of the classes"


def test_organisations_take_turns_by_weight() -> None:
    queue = [candidate(f"{name}{n:02d}", name) for name in ("a", "b") for n in range(20)]
    served = Counter(job[0] for job in order(queue, 9, Shares(weights={"a": 2.0})))
    assert served == {"a": 6, "b": 3}


def test_slots_of_one_moment_are_shared_however_many_passes_give_them() -> None:
    queue = [candidate(f"{name}{n:02d}", name) for name in ("a", "b") for n in range(20)]
    held: Counter[tuple[str, str]] = Counter()
    for _ in range(10):
        given = order(queue, 1, Shares(held=held))[0]
        queue = [one for one in queue if one.job != given]
        held["cpu", given[0]] += 1
    assert set(held.values()) == {5}


def test_limits_of_organisations_and_projects() -> None:
    queue = [candidate(f"j{n}", project="p" if n < 3 else None) for n in range(6)]
    assert len(order(queue, 6, Shares(running={"acme": 2}, limits={"acme": 4}))) == 2
    assert len(order(queue, 6, Shares(limit=1))) == 1
    assert len(order(queue, 6, Shares(limit=1, limits={"acme": None}))) == 6, "its own limit is that it has none"
    for limited in (Shares(project_limits={("acme", "p"): 1}), Shares(project_limits={("acme", ""): 1})):
        assert sorted(order(queue, 6, limited)) == ["j0", "j3", "j4", "j5"]
    assert len(order(queue, 6, Shares(project_limit=2, project_limits={("acme", "p"): 3}))) == 6


def test_a_job_that_must_wait_blocks_no_other() -> None:
    queue = [
        candidate("later", priority=9, not_before="2026-11-21T11:00:00.000000Z"),
        candidate("gpu", priority=8, needs=Requirements(gpus=1)),
        candidate("plain"),
    ]
    assert order(queue) == ["plain"]


def test_requirements() -> None:
    small = Place("w1", "gpu", gpu_memory_gib=8, labels=frozenset({"eu"}))
    assert fits(Requirements(gpus=1, gpu_memory_gib=8, labels=("eu",)), False, small)
    assert fits(Requirements(), False, small), "a job without a GPU may use a slot that has one"
    for needs in (
        Requirements(gpus=1, gpu_memory_gib=9),
        Requirements(gpus=2),
        Requirements(labels=("us",)),
    ):
        assert not fits(needs, False, small)
    assert not fits(Requirements(), True, small)
    assert fits(Requirements(), True, replace(small, isolated=True))


def test_several_gpus_are_those_of_one_worker() -> None:
    pair = Requirements(gpus=2, gpu_memory_gib=20)
    apart = [Place(f"w{n}", "gpu", total=2, free=1, gpu_memory_gib=24) for n in range(2)]
    assert not plan_of([candidate("a", needs=pair)], apart).assignments
    together = Place("w2", "gpu", total=4, free=3, gpu_memory_gib=24)
    plan = plan_of([candidate("a", needs=pair), candidate("bb", needs=pair)], [*apart, together])
    assert [(one.job, one.worker) for one in plan.assignments] == [("a", "w2")]
    assert plan.places[2].free == 1
    uneven = replace(together, total=2, free=2, slots_gib=(80.0, 8.0), free_gib=(80.0, 8.0))
    assert not fits(pair, False, uneven)
    assert fits(replace(pair, gpus=1), False, uneven)


def test_memory_that_others_use_is_not_free() -> None:
    needs = Requirements(gpus=1, gpu_memory_gib=20)
    used = Place("w", "gpu", total=2, free=2, gpu_memory_gib=24, slots_gib=(24.0, 24.0), free_gib=(12.0, 3.0))
    assert fits(needs, False, used)
    assert not fits_now(needs, False, used)
    assert not plan_of([candidate("a", needs=needs)], [used]).assignments
    small = candidate("b", needs=replace(needs, gpu_memory_gib=10))
    plan = plan_of([small, replace(small, job="c")], [used])
    assert [one.job for one in plan.assignments] == ["b"]
    assert plan.places[0].free_gib == (3.0,)


def test_a_job_that_needs_several_gpus_is_not_overtaken_for_ever() -> None:
    many = candidate("many", needs=Requirements(gpus=2), priority=1)
    queue = [many, *(candidate(f"one{n}", needs=Requirements(gpus=1)) for n in range(5))]
    half = [Place("w", "gpu", total=2, free=1), Place("x", "gpu", total=2, free=0)]
    assert [one.job for one in plan_of(queue, half).assignments] == ["one0"]
    patient = plan_of(queue, half, long_ago=NOW)
    assert (patient.assignments, patient.kept) == ((), "w")
    whole = [replace(half[0], free=2), half[1]]
    assert [one.job for one in plan_of(queue, whole, long_ago=NOW).assignments] == ["many"]


def test_the_smallest_place_that_fits_is_taken() -> None:
    places = [Place("big", "gpu", gpu_memory_gib=80), Place("small", "gpu", gpu_memory_gib=24), Place("cpu")]
    queue = [candidate("a", needs=Requirements(gpus=1, gpu_memory_gib=10)), candidate("b")]
    plan = plan_of(queue, places)
    assert {one.job: one.worker for one in plan.assignments} == {"a": "small", "b": "cpu"}


def test_jobs_spread_over_the_workers() -> None:
    places = [Place(f"w{n}", total=4, free=4) for n in range(3)]
    plan = plan_of([candidate(f"j{n}") for n in range(6)], places)
    assert Counter(one.worker for one in plan.assignments) == {"w0": 2, "w1": 2, "w2": 2}


def test_a_pass_in_slices_gives_what_one_pass_gives() -> None:
    queue = [candidate(f"{name}{n}", name, priority=n % 3) for name in "abc" for n in range(10)]
    whole = plan_of(queue, [Place("w", total=12, free=12)])
    queues, held, free, given = Queues(queue), Counter[tuple[str, str]](), 12, list[Assignment]()
    while True:
        plan = schedule(queues, [Place("w", total=12, free=free)], Shares(held=held), most=5)
        for one in plan.assignments:
            held["cpu", queues[one.job].organisation] += 1
            queues.pop(one.job)
        given += plan.assignments
        free -= len(plan.assignments)
        if not plan.cut:
            break
    assert given == list(whole.assignments)


def test_slots_that_a_beat_does_not_show_yet_or_still() -> None:
    worker = Worker("w", "ready", NOW, (Slot(id="1", job="old"), Slot(id="2"), Slot(id="3", kind="gpu")))
    needs = Requirements()
    assert [place.free for place in worker.places()] == [1, 1]
    assert [place.free for place in worker.places({"new": needs})] == [0, 1], "given, but not in a slot yet"
    assert [place.free for place in worker.places({"new": Requirements(gpus=1)})] == [1, 0]
    assert [place.free for place in worker.places({"old": needs})] == [1, 1]
    assert [place.free for place in worker.places(ended=frozenset({"old"}))] == [2, 1]
    assert [place.free for place in replace(worker, state="draining").places()] == [0, 0]


def test_memory_of_a_workers_gpus_is_counted_from_its_beat() -> None:
    def slot(id: str, **given: Any) -> Slot:
        return Slot(id=id, kind="gpu", gpu_memory_gib=24, **given)

    slots = (slot("0", gpu_memory_free_gib=23.5), slot("1", gpu_memory_free_gib=6), slot("2", job="x"))
    worker = Worker("w", "ready", NOW, slots)
    assert worker.places()[0].free_gib == (23.5, 6.0)
    assert worker.places({"y": Requirements(gpus=1, gpu_memory_gib=10)})[0].free_gib == (6.0,)
    ended = worker.places(ended=frozenset({"x"}))[0]
    assert ended.free_gib == (24.0, 23.5, 6.0), "what the job that has ended had is free again"
    assert ended.slots_gib == (24.0, 24.0, 24.0)
