"""Every message in every state: what it leads to is in the table; twice, late or out of order it does no harm."""

from typing import Any

import pytest

from studio9_common.contracts.job import TERMINAL, Exit, Phase, Spec, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import fold
from studio9_orion.core.decision import Answer
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    ChildEnded,
    Cleaned,
    DeadLettered,
    Emptied,
    OutputReported,
    PriorityChanged,
    RelatedSeen,
    Requested,
    ResultReceived,
    Tick,
    Unroutable,
)
from studio9_orion.core.life import OPEN, OVER
from studio9_orion.core.table import EVENTS, allowed

P = Phase


def messages(life: Any, *, behind: int = 0) -> dict[str, Any]:
    """One event of each name, of the job's current attempt or of one so many fences before."""
    job = life.job
    fence = job.fence - behind
    worker = next((one.worker for one in job.attempts if one.fence == fence), "w1")
    results = {
        f"result.{outcome}": ResultReceived(
            worker=worker,
            organisation="acme",
            fence=fence,
            outcome=outcome,
            reason=reason("staging_error") if outcome == "failed" else None,
        )
        for outcome in ("succeeded", "failed", "cancelled", "refused")
    }
    return {
        "requested": Requested(job=life.id, organisation="acme", owner="ana", spec=job.spec, request_hash="h"),
        "cancel": CancelRequested(job=life.id, organisation="acme", requested_by="ana"),
        "related": RelatedSeen(states={"other": State.completed}),
        "child_ended": ChildEnded(child="c", organisation="acme", state=State.failed),
        "priority": PriorityChanged(organisation="acme", priority=3, requested_by="ana"),
        "assigned": Assigned(worker="w1"),
        "unroutable": Unroutable(fence=fence),
        **{f"beat.{phase}": Beat(worker=worker, fence=fence, phase=phase) for phase in ("staging", "running", "ended")},
        **results,
        "output": OutputReported(organisation="acme", output="predictions", state="loaded", rows=1),
        "tick": Tick(fence=job.fence),
        "cleaned": Cleaned(),
        "emptied": Emptied(parent_state=State.completed),
        "dead_letter": DeadLettered(type="t", why="w"),
    }


def test_the_list_is_complete(life: Any) -> None:
    assert set(messages(life.request())) == set(EVENTS)


@pytest.mark.parametrize("name", sorted(EVENTS))
@pytest.mark.parametrize("phase", list(P))
def test_once_and_again(life: Any, phase: Phase, name: str) -> None:
    """What an event leads to is one of the table's cells; the same event once more changes nothing further."""
    life.in_phase(phase)
    before = life.job
    event = messages(life)[name]
    life.tell(event)
    after = life.job
    assert after.phase in allowed(before.phase, name)
    folded = fold(after.events)
    assert (folded.state, folded.phase) == (after.state, after.phase)
    if before.state in TERMINAL:
        assert (after.state, after.result, after.reason, after.attempts) == (
            before.state,
            before.result,
            before.reason,
            before.attempts,
        )
    life.tell(event)
    if name not in {"tick", "dead_letter"}:
        assert life.job is after, "twice is once"
    assert fold(life.job.events).phase is life.job.phase


@pytest.mark.parametrize("name", sorted(name for name in EVENTS if name.startswith(("beat", "result"))))
@pytest.mark.parametrize("phase", [P.assigned, P.starting, P.running, P.cancelling, P.cleaning, P.clean])
def test_a_superseded_attempt_changes_nothing(life: Any, phase: Phase, name: str) -> None:
    """Invariant 2: whatever the first attempt still says, after the second was assigned it is noted once, no more."""
    life.request().assign("w1").beat().pass_deadline("silent").pass_deadline().assign("w2")
    for step in {
        P.starting: ("staging",),
        P.running: ("running",),
        P.cancelling: ("running", "cancel"),
        P.cleaning: ("running", "result"),
        P.clean: ("running", "result", "cleaned"),
    }.get(phase, ()):
        match step:
            case "cancel":
                life.cancel()
            case "result":
                life.result()
            case "cleaned":
                life.tell(Cleaned())
            case _:
                life.beat(step)
    before = life.job
    assert before.phase is phase
    life.tell(messages(life, behind=1)[name])
    after = life.job
    assert life.last.answer is Answer.superseded
    assert (after.phase, after.state, after.attempts, after.result, after.checkpoint, after.reason) == (
        before.phase,
        before.state,
        before.attempts,
        before.result,
        before.checkpoint,
        before.reason,
    )
    assert [event.type for event in after.events].count("superseded") == 1
    noted = life.job
    life.tell(messages(life, behind=1)[name])
    assert life.job.events == noted.events


@pytest.mark.parametrize("phase", sorted(OPEN - {P.submitted, P.queued}))
def test_a_success_of_the_current_attempt_counts_in_every_open_phase(life: Any, phase: Phase) -> None:
    """Invariant 4, also when the result overtakes every beat."""
    life.in_phase(phase).result()
    assert life.at() == (P.cleaning, State.completed)
    result = life.job.result
    for _ in range(3):
        life.result().beat("running").beat("ended").result("failed", reason("internal"))
    assert (life.job.state, life.job.result) == (State.completed, result)


def test_beats_out_of_order_move_a_job_forwards_only(life: Any) -> None:
    life.request().assign().beat("running").beat("staging").beat("ended").beat("staging")
    assert life.job.phase is P.running
    assert life.types == ["requested", "queued", "assigned", "running"]


def test_a_cancel_that_overtakes_its_request_and_comes_again(life: Any) -> None:
    life.cancel()
    assert life.at() == (P.cleaning, State.cancelled)
    life.cancel().request().cancel().request()
    assert (life.job.state, life.job.spec.kind, life.types[-1]) == (State.cancelled, "train", "described")


@pytest.mark.parametrize("phase", sorted(OPEN))
def test_a_cancel_ends_every_open_job_in_time_whatever_is_dead(life: Any, phase: Phase) -> None:
    """Invariant 8: nobody answers any more; the deadline and one tick (5 s) later the job has ended."""
    life.in_phase(phase).cancel()
    began = life.now
    if life.job.phase not in OVER:
        assert "cancelling" in life.job.deadlines
        while life.job.phase not in OVER:
            life.tick(5.0)
    assert life.job.state is State.cancelled
    assert (life.now - began).total_seconds() <= 30


@pytest.mark.parametrize("phase", sorted(OVER))
def test_a_cancel_after_the_end_is_answered_with_the_end(life: Any, phase: Phase) -> None:
    life.in_phase(phase).cancel()
    assert life.last.answer is Answer.too_late
    assert life.at() == (phase, State.completed)
    assert [effect.command.type for effect in life.last.effects] == ["studio9.job.completed.v1"]


def test_what_survives_an_attempt(life: Any) -> None:
    """The last log lines and the peak of memory stay with the attempt; of earlier attempts the peak alone."""
    lines = tuple(f"line {number}" for number in range(500))
    exit = Exit(code=1, peak_memory=7_000_000_000, log_tail=lines)
    life.request(spec=Spec(kind="train")).assign().beat().result("failed", reason("staging_error"), exit=exit)
    kept = life.attempt.exit
    assert (kept.code, kept.peak_memory) == (1, 7_000_000_000)
    assert kept.log_tail == lines[-200:]
    life.pass_deadline().assign("w2")
    assert life.job.attempts[0].exit.peak_memory == 7_000_000_000
    assert life.job.attempts[0].exit.log_tail == (), "the document stays small"
    life.beat().result("failed", reason("out_of_memory"), exit=exit)
    assert (life.job.state, life.job.reason.code) == (State.failed, "out_of_memory")
    assert life.attempt.exit.log_tail == lines[-200:]
