"""Chaos without servers: the plan, the judge, the histogram and the ledger."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.chaos import ledger
from studio9_cli.chaos.asker import Asked, Heard, changed_wrongly
from studio9_cli.chaos.checker import Effect, Evidence, judge
from studio9_cli.chaos.holding import consumers_cut
from studio9_cli.chaos.plan import BUSIEST, LINKS, SERVERS, SERVICES, Wish, plan_of
from studio9_cli.chaos.records import KINDS, NoRecord, kind_of, records
from studio9_cli.chaos.remains import effects_of
from studio9_cli.chaos.report import histogram
from studio9_common.contracts.job import Attempt, Event, Job, ObjectRef, Phase, Result, Spec, State
from studio9_common.contracts.reasons import Reason, reason
from studio9_common.ids import new_id

NOW = "2026-11-21T12:00:00.000000Z"
WISH = Wish(0, "north", "ok", 1, 0.1)


def event(n: int, type: str, phase: Phase, state: State, why: Reason | None = None) -> Event:
    return Event(n=n, time=NOW, type=type, phase=phase, state=state, attempt=1, reason=why)


def completed(id: str) -> Job:
    ref = ObjectRef(key=f"north/jobs/{id}/1/manifest.json", sha256="0" * 64, size=1)
    return Job(
        id=id, organisation="north", owner="ana", spec=Spec(kind="train"), request_hash="h", created_at=NOW,
        updated_at=NOW, ended_at=NOW, state=State.completed, phase=Phase.clean, fence=1,
        attempts=(Attempt(number=1, fence=1, worker="worker-1", assigned_at=NOW, outcome="succeeded"),),
        result=Result(attempt=1, fence=1, manifest=ref),
        events=(
            event(1, "requested", Phase.submitted, State.submitted),
            event(2, "queued", Phase.queued, State.queued),
            event(3, "assigned", Phase.assigned, State.queued),
            event(4, "running", Phase.running, State.running),
            event(5, "completed", Phase.cleaning, State.completed),
            event(6, "cleaned", Phase.clean, State.completed),
        ),
    )  # fmt: skip


def evidence(job: Job, wish: Wish = WISH, **given: Any) -> Evidence:
    asked = {job.id: Asked(job.id, "north", 0.0, wish)}
    effects = [Effect(what, job.id, 1, "worker-1", 1.0) for what in ("began", "ended")]
    heard = {job.id: [Heard("job.accepted", 0.1), Heard("job.completed", 1.0, "completed", 1)]}
    return Evidence(**({"asked": asked, "jobs": {job.id: job}, "heard": heard, "effects": effects} | given))


def found(given: Evidence) -> list[tuple[str, str]]:
    return [(finding.sort, finding.what) for finding in judge(given)]


def test_a_job_that_ran_once_is_innocent() -> None:
    job = completed(new_id())
    assert found(evidence(job)) == []
    twice = [Heard("job.completed", at, "completed", 1) for at in (1.0, 2.0)]
    assert found(evidence(job, heard={job.id: twice})) == [], "a message may come again"


@pytest.mark.parametrize(
    ("changes", "sort", "what"),
    [
        ({"jobs": {}}, "lost", "was asked for, and is not in the store"),
        ({"effects": []}, "lost", "completed by an attempt whose task did not come to its end"),
        ({"odd": [("j", "has another result now")]}, "doubled", "has another result now"),
        ({"left": [("j", "the scratch object x")]}, "orphans", "the scratch object x"),
    ],
)
def test_what_is_missing_changed_or_left_is_found(changes: dict[str, Any], sort: str, what: str) -> None:
    assert (sort, what) in found(evidence(completed(new_id()), **changes))


def test_two_ends_are_found() -> None:
    job = completed(new_id())
    heard = {job.id: [Heard("job.failed", 1.0, "failed", 1), Heard("job.completed", 2.0, "completed", 2)]}
    assert "doubled" in {sort for sort, _ in found(evidence(job, heard=heard))}
    ends = (*job.events[:-1], event(6, "cancelled", Phase.cleaning, State.cancelled))
    assert "doubled" in {sort for sort, _ in found(evidence(replace(job, events=ends)))}


def test_a_task_that_began_twice_or_under_no_attempt_is_found() -> None:
    job = completed(new_id())
    noted = (("began", 1), ("began", 1), ("ended", 1), ("began", 7))
    effects = [Effect(what, job.id, fence, "worker-1", 1.0) for what, fence in noted]
    assert found(evidence(job, effects=effects)) == [
        ("doubled", "the task of fence 1 began 2 times"),
        ("doubled", "a task ran under fence 7, which no attempt has"),
    ]


def test_a_superseded_result_is_found() -> None:
    job = completed(new_id())
    assert ("doubled", "the result of fence 1 counts; the job's fence is 2") in found(evidence(replace(job, fence=2)))


def test_what_is_not_over_is_stuck() -> None:
    job = completed(new_id())
    running = replace(job, state=State.running, phase=Phase.running, events=job.events[:4], result=None)
    assert ("stuck", "is running") in found(evidence(running, heard={}))
    assert ("stuck", "is completed, but cleaning") in found(
        evidence(replace(job, phase=Phase.cleaning, events=job.events[:5]))
    )


def test_a_failure_needs_a_cause() -> None:
    id = new_id()

    def failed(code: str, workers: tuple[str, ...]) -> Job:
        why = reason(code)
        attempts = tuple(
            Attempt(number=n, fence=n, worker=worker, assigned_at=NOW, outcome="lost", reason=reason("worker_lost"))
            for n, worker in enumerate(workers, 1)
        )
        events = (*completed(id).events[:4], event(5, "failed", Phase.cleaning, State.failed, why))
        events = (*events, event(6, "cleaned", Phase.clean, State.failed))
        return replace(
            completed(id),
            state=State.failed,
            reason=why,
            attempts=attempts,
            fence=len(attempts),
            result=None,
            events=events,
        )

    heard = {id: [Heard("job.failed", 1.0, "failed", 2)]}
    assert found(evidence(failed("workers_lost", ("worker-1", "worker-2")), heard=heard)) == []
    assert found(evidence(failed("workers_lost", ("worker-1",)), heard=heard)) == [
        ("lost", "failed without need: workers_lost, but one worker was lost")
    ]
    assert found(evidence(failed("user_error", ("worker-1",)), heard=heard)) == [
        ("lost", "failed without need: blamed on the user: user_error")
    ]


def test_nobody_wanted_this_cancel() -> None:
    job = completed(new_id())
    ends = (event(5, "cancelled", Phase.cleaning, State.cancelled), event(6, "cleaned", Phase.clean, State.cancelled))
    events = (*job.events[:4], *ends)
    job = replace(job, state=State.cancelled, result=None, attempts=(), events=events, fence=0)
    given = evidence(job, heard={}, effects=[])
    assert found(given) == [("lost", "was cancelled, and nobody wanted that")]
    assert found(replace(given, cancels={job.id: 1.0})) == []


def test_what_may_not_change() -> None:
    job = completed(new_id())
    assert changed_wrongly(job, job) == []
    assert changed_wrongly(job, replace(job, state=State.failed)) == ["was completed and became failed"]
    assert changed_wrongly(job, replace(job, fence=0)) == ["its fence went from 1 back to 0"]


def test_a_seed_is_one_plan_with_every_kind_of_fault() -> None:
    plan = plan_of(7, 1800, 900, proxied=True, long_s=12)
    assert plan == plan_of(7, 1800, 900, proxied=True, long_s=12)
    assert plan != plan_of(8, 1800, 900, proxied=True, long_s=12)
    assert len(plan.wishes) == 900
    for n, wish in enumerate(plan.wishes):
        related = [*wish.depends_on, *([] if wish.parent is None else [wish.parent])]
        assert all(other < n and plan.wishes[other].organisation == wish.organisation for other in related)
    kinds = {fault.name for fault in plan.faults}
    assert {"kill orion", "freeze worker", "restart broker", "kill store", "delete_queues broker"} <= kinds
    assert {"outage broker", "outage store", "outage aries", "outage orions", "hang link", "cut link"} <= kinds
    assert max(fault.lasts for fault in plan.faults if fault.kind == "outage") == 60
    known = {
        *SERVICES,
        *SERVERS,
        *(":".join(link) for link in LINKS),
        "orions",
        "workers",
        BUSIEST,
        "all:broker",
        "all:store",
    }
    assert {fault.target for fault in plan.faults} <= known
    assert not any(":" in fault.target for fault in plan_of(7, 1800, 900, proxied=False, long_s=12).faults)


def test_a_line_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    line = {"what": "began", "job": "j", "fence": 1, "worker": "worker-1", "epoch": 0, "at": 1.5}
    file = tmp_path / "effects.jsonl"
    file.write_text(json.dumps(line) + "\n" + json.dumps(line)[:20])
    assert effects_of(file) == [Effect("began", "j", 1, "worker-1", 1.5)]
    assert effects_of(tmp_path / "none") == []


def test_a_cut_consumer_counts_once_however_often_the_broker_tells_of_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    told = "[warning] <0.{}.0> Consumer 15 on channel 6 has timed out waiting for delivery acknowledgement.\n"
    log.write_text(told.format(7) * 3 + told.format(8))
    assert consumers_cut(log) == 2


def test_histogram() -> None:
    bars = histogram([0.5, 1.0, 1.5, 61.0])
    assert (bars["<=1"], bars["<=2"], bars[">60"], sum(bars.values())) == (2, 1, 1, 4)


CHAOS = {
    "kind": "chaos", "date": "2026-11-21T12:00:00Z", "commit": "abcdef0123456", "seed": 3, "minutes": 2.0,
    "pace": "hurried", "machine": {"cores": 2, "memory_gib": 24.0, "system": "Linux", "python": "3.11.7"},
    "servers": {"broker": "RabbitMQ 3.10.8", "proxy": "none"}, "submitted": 100, "completed": 90, "failed": 4,
    "cancelled": 6, "faults": 2, "lost": 0, "doubled": 1, "stuck": 0, "orphans": 0,
    "attempts_lost": 3, "resumed": 2, "recovery": {
        "kill orion": {
            "faults": 2, "jobs": 9, "lost": 0, "doubled": 1, "stuck": 0, "orphans": 0, "not_recovered": 0, "max_s": 1.5,
            "histogram": histogram([0.5, 1.5]), "histogram_among_others": histogram([3.0]), "max_s_among_others": 3.0,
        },
    },
    "delivery_timeout": {"timeout_s": 8.0, "cut_after_s": 8.4, "came_again": True, "consumers_cut_later": 5},
    "findings": [{"sort": "doubled", "what": "has two ends", "job": "j"}],
}  # fmt: skip


def test_the_ledger_is_made_of_its_records_alone(tmp_path: Path) -> None:
    for name, seed in (("b", 3), ("a", 4)):
        (tmp_path / f"{name}.json").write_text(json.dumps(CHAOS | {"seed": seed}))
    kept = records(tmp_path)
    page = ledger.ledger(kept)
    assert [run["seed"] for run in kept["chaos"]] == [3, 4]
    assert "| 2026-11-21 | abcdef0123 | 3 | 2.0 | hurried | 100 | 90 | 4 | 6 | 3 | 2 | 2 | 0 | 1 | 0 | 0 |" in page
    assert "| **all** |  |  | 4.0 |  | 200 | 180 | 8 | 12 | 6 | 4 | 4 | 0 | 2 | 0 | 0 |" in page
    assert "seed `4`, doubled: job j has two ends" in page
    assert "| kill orion | 4 | 18 | 0 | 2 | 0 | 0 | 0 | 2 | 2 |" in page
    assert "| … among others |  |  |  |  |  |  |  |  |  | 2 |" in page
    assert page.count(ledger.MISSING) == len(KINDS) - 1
    assert page == ledger.ledger(records(tmp_path))


def test_the_ledger_tells_what_the_simulation_did(tmp_path: Path) -> None:
    run = {
        "date": "2026-11-21T12:00:00Z", "commit": "unknown", "seed": 5, "runs": 10, "simulated_hours": 10.5, "lost": 1,
        "doubled": 0, "stuck": 0, "leaked": 0, "broken": 0, "pairs_reached": 70, "legal_pairs": 63,
        "legal_pairs_reached": 47, "faults": {"cut": {"injected": 7, "took_effect": 6}},
        "failures": [{"seed": 8, "problems": ["1.0 s lost job-1: gone"]}],
    }  # fmt: skip
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(run))
    page = ledger.ledger(records(tmp_path))
    assert "| 2026-11-21 | unknown | 5 | 10 | 10.5 | 1 | 0 | 0 | 0 | 0 | 70, 47 of 63 legal |" in page
    assert "| **all** |  |  | 20 | 21.0 | 2 | 0 | 0 | 0 | 0 |  |" in page
    assert "- `8`: 1.0 s lost job-1: gone" in page
    assert "| cut | 14 | 12 |" in page


def test_each_report_is_known_by_what_it_holds() -> None:
    assert kind_of({"plants": []}) == "plants"
    assert kind_of({"simulated_hours": 1.0}) == "simulate"
    assert kind_of({"bench": "recover"}) == "recover"
    with pytest.raises(NoRecord):
        kind_of({"bench": "bus"})
