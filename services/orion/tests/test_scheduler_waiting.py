"""Why a job waits: the snapshot after a pass, of a size that does not follow the queue's, and what it means for one."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studio9_common.contracts.job import Input, ObjectRef, Requirements, Spec
from studio9_common.contracts.reasons import reason
from studio9_common.contracts.waiting import waiting_reason, why_waiting
from studio9_common.ids import new_id
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.model import Candidate, Shares, candidate
from studio9_orion.scheduler.queues import Queues
from studio9_orion.scheduler.snapshot import MAX_SNAPSHOT, snapshot

NEEDS = Requirements(gpus=1, gpu_memory_gib=24)
FULL = Place("w", "gpu", total=1, free=0, gpu_memory_gib=24)


def other(id: str = "", organisation: str = "acme", **changes: Any) -> Candidate:
    given: dict[str, Any] = {
        "job": id or new_id(),
        "organisation": organisation,
        "project": None,
        "priority_class": "cpu",
        "priority": 1,
        "queued_at": "2026-11-21T09:00:00.000000Z",
        "not_before": None,
        "needs": NEEDS,
    }
    return Candidate(**(given | changes))


def taken(queue: list[Candidate], places: list[Place], shares: Shares | None = None) -> Mapping[str, Any]:
    """The snapshot after a pass."""
    queues = Queues(queue)
    plan = schedule(queues, places, shares or Shares())
    for one in plan.assignments:
        queues.pop(one.job)
    made: Mapping[str, Any] = json.loads(json.dumps(snapshot(queues, plan.places, shares or Shares())))
    return made


def test_the_places(life: Any) -> None:
    life.request(spec=Spec(kind="train", requirements=NEEDS))
    mine = candidate(life.job)

    def why(*places: Place) -> str:
        return why_waiting(life.job, taken([mine], list(places)))

    assert why_waiting(life.job, None) == "has just arrived"
    assert why() == "needs 1×24 GB GPU; no worker is there"
    assert why(Place("w")) == "needs 1×24 GB GPU; no worker has a slot like that"
    assert why(FULL) == "needs 1×24 GB GPU; next; the only fitting slot is taken"
    assert why(FULL, replace(FULL, worker="v")) == "needs 1×24 GB GPU; next; all 2 fitting slots are taken"
    used = replace(FULL, free=1, slots_gib=(24.0,), free_gib=(7.5,))
    assert why(used) == "needs 1×24 GB GPU; next; at most 7.5 GB are really free on 1 fitting GPU"


def test_code_of_ones_own_waits_for_a_worker_with_containers(life: Any) -> None:
    code = Input(name="code", kind="file", ref=ObjectRef(key="acme/code/1.zip", sha256="0" * 64, size=1))
    life.request(spec=Spec(kind="train", framework="custom", inputs=(code,)))
    mine = candidate(life.job)
    wanted = "needs 1 slot in a container"
    assert why_waiting(life.job, taken([mine], [Place("w")])) == f"{wanted}; no worker has a slot like that"
    assert waiting_reason(life.job, taken([mine], [Place("w")])) == reason("isolation_required")
    assert waiting_reason(life.job, taken([mine], [])) == reason("isolation_required")
    assert waiting_reason(life.job, None) is None, "nobody has looked yet"
    held = Place("w", free=0, isolated=True)
    assert waiting_reason(life.job, taken([mine], [Place("v"), held])) is None, "it will have its turn"
    assert why_waiting(life.job, taken([mine], [held])) == f"{wanted}; next; the only fitting slot is taken"
    assert not plan_for(mine, Place("w"))
    assert plan_for(mine, Place("w", isolated=True)) == ["w"]


def plan_for(wanted: Candidate, place: Place) -> list[str]:
    """The workers that a pass gives it."""
    return [one.worker for one in schedule(Queues([wanted]), [place], Shares()).assignments]


def test_several_gpus(life: Any) -> None:
    life.request(spec=Spec(kind="train", requirements=replace(NEEDS, gpus=2)))
    mine = candidate(life.job)
    assert why_waiting(life.job, taken([mine], [FULL])) == "needs 2×24 GB GPU; no worker has slots like that"
    apart = [replace(FULL, worker=name, total=2, free=1) for name in "ab"]
    assert why_waiting(life.job, taken([mine], apart)).endswith(
        "next; 2 fitting slots are free, but not 2 of one worker"
    )


def test_who_is_ahead_and_which_limit_holds(life: Any) -> None:
    life.request(spec=Spec(kind="train", requirements=NEEDS), project="p")
    mine = candidate(life.job)
    ahead = [other(), other()]
    cpu = other(needs=Requirements(), priority=9)
    assert why_waiting(
        life.job, taken([*ahead, cpu, mine], [FULL], Shares(running={"acme": 3}, limits={"acme": 4}))
    ) == ("needs 1×24 GB GPU; 3 jobs ahead; the only fitting slot is taken; organisation limit 3 of 4")
    big = [other(needs=replace(NEEDS, gpu_memory_gib=80)) for _ in range(3)]
    assert "next" in why_waiting(life.job, taken([*big, mine], [FULL])), "those ahead could not take its place"
    full = Shares(running={"acme": 4}, limits={"acme": 4})
    strangers = [other(organisation="globex", queued_at="2026-11-21T08:00:00.000000Z") for _ in range(5)]
    free = replace(FULL, total=9, free=9)
    assert why_waiting(life.job, taken([*strangers, ahead[0], mine], [free], full)) == (
        "needs 1×24 GB GPU; 1 job ahead; organisation limit 4 of 4"
    )
    project = Shares(running_projects={("acme", "p"): 2}, project_limits={("acme", "p"): 2})
    assert why_waiting(life.job, taken([mine], [free], project)).endswith("next; project limit 2 of 2")


def test_a_job_that_came_back_says_why(life: Any) -> None:
    life.request().assign().result("refused")
    mine = candidate(life.job)
    assert mine.not_before is not None
    told = why_waiting(life.job, taken([mine], [Place("w")]))
    assert told == f"needs 1 slot; not before {mine.not_before}; came back: no_slot"


def test_other_phases(life: Any, new_life: Any) -> None:
    assert why_waiting(life.request(depends_on=("a", "b")).job, None) == "waits for a, b"
    backing_off = new_life().request().assign().beat().pass_deadline("silent").job
    assert why_waiting(backing_off, None).startswith("tries again at 2026-")
    assert why_waiting(new_life().request().assign().job, None) == ""
    assert why_waiting(new_life().request().job, {"places": [], "order": []}) == "has just arrived", "an older snapshot"


def test_ten_thousand_waiting_jobs_fit_into_one_document(life: Any) -> None:
    long = "organisation-" * 9
    queue = [other(organisation=f"{long}{n % 400}", project=f"{long}{n % 1000}") for n in range(10_000)]
    labels = frozenset(f"label-{n}" for n in range(20))
    places = [Place(f"w{n}", "gpu", total=8, free=0, gpu_memory_gib=n, labels=labels) for n in range(300)]
    made = taken(queue, places, Shares(limit=3, project_limit=2))
    assert len(json.dumps(made)) <= MAX_SNAPSHOT
    assert made["waiting"] == 10_000
    life.request(spec=Spec(kind="train", requirements=Requirements()))
    life.stored = replace(life.job, priority=-5)
    assert f"more than {len(made['order'])} jobs ahead" in why_waiting(life.job, made)
