"""Invariant 11: what a child's end means for its parent, and a parent's for its children; and moving in the queue."""

from typing import Any

import pytest

from studio9_common.contracts.job import Phase, Spec, State
from studio9_common.contracts.messages import JobStarted
from studio9_common.contracts.waiting import why_waiting
from studio9_common.ids import new_id
from studio9_orion.core.decision import Answer
from studio9_orion.core.events import CancelRequested, ChildEnded, Cleaned, PriorityChanged, RelatedSeen
from studio9_orion.core.life import HELD, OPEN
from studio9_orion.rendering import message_of

P = Phase
TOGETHER = Spec(kind="tune", child_failure="fail")
FAILED = ChildEnded(child="c", organisation="acme", state=State.failed)


def brought_to(life: Any, phase: Phase, spec: Spec) -> Any:
    """A job with this spec in a phase."""
    request = life.request
    life.request = lambda **changes: request(**({"spec": spec} | changes))
    return life.in_phase(phase)


@pytest.mark.parametrize("phase", sorted(OPEN - {P.cancelling}))
@pytest.mark.parametrize("state", [State.failed, State.cancelled])
def test_a_parent_fails_with_its_child_where_that_is_its_rule(life: Any, phase: Phase, state: State) -> None:
    brought_to(life, phase, TOGETHER).tell(ChildEnded(child="c", organisation="acme", state=state))
    assert life.at() == (P.cleaning, State.failed)
    assert (life.job.reason.class_, life.job.reason.code) == ("policy", "child_failed")
    assert f"Job c, a part of this one, {state}." in life.job.reason.message
    assert ("worker.cancel" in life.commands) == (phase in HELD), "its worker is told"
    assert life.last.effects, "its other children hear of it"
    before = life.job
    assert life.tell(FAILED).job is before, "told again, nothing changes"


@pytest.mark.parametrize("phase", sorted(OPEN))
def test_a_parent_goes_on_without_its_child_and_notes_that_once(life: Any, phase: Phase) -> None:
    life.in_phase(phase)
    for _ in range(3):
        life.tell(FAILED)
    life.tell(ChildEnded(child="d", organisation="acme", state=State.cancelled))
    life.tell(ChildEnded(child="e", organisation="acme", state=State.completed))
    life.tell(FAILED)
    assert life.job.phase is phase
    told = [event.detail for event in life.job.events if event.type == "child_ended"]
    assert told == ["c: failed", "d: cancelled"]


def test_what_is_told_of_a_child_names_its_parent(life: Any) -> None:
    life.request(parent="p").tell(RelatedSeen(states={"p": State.running}))
    life.assign().beat()
    (started,) = [one for one in life.last.commands if one.type == JobStarted.type]
    told = message_of(life.job, started, life.policy)
    assert isinstance(told, JobStarted) and (told.job, told.parent) == (life.id, "p")


def test_a_cancelled_parent_stays_cancelled_whatever_its_children_do(life: Any) -> None:
    brought_to(life, P.cancelling, TOGETHER).tell(FAILED)
    assert life.at() == (P.cancelling, State.running)
    assert life.pass_deadline().job.state is State.cancelled
    assert life.tell(FAILED).last.answer is Answer.unchanged


def test_nobody_elses_child_counts(life: Any) -> None:
    brought_to(life, P.running, TOGETHER).tell(ChildEnded(child="c", organisation="evil", state=State.failed))
    assert (life.last.answer, life.job.phase) == (Answer.foreign, P.running)


@pytest.mark.parametrize("state", [State.completed, State.failed, State.cancelled])
@pytest.mark.parametrize("phase", [P.queued, P.running])
def test_a_child_ends_with_its_parent(life: Any, phase: Phase, state: State) -> None:
    life.request(parent="p").tell(RelatedSeen(states={"p": State.running}))
    if phase is P.running:
        life.assign().beat()
    life.tell(RelatedSeen(states={"p": state}))
    if phase is P.running:
        assert life.job.phase is P.cancelling
        life.result("cancelled")
    assert (life.job.state, life.job.reason.code) == (State.cancelled, "parent_ended")


@pytest.mark.parametrize("phase", sorted(OPEN))
def test_a_priority_can_be_changed_until_the_end(life: Any, phase: Phase) -> None:
    life.in_phase(phase).tell(PriorityChanged(organisation="acme", priority=7, requested_by="ana"))
    assert (life.job.priority, life.job.phase) == (7, phase)
    assert (life.types[-1], life.job.events[-1].detail) == ("priority_changed", "0 → 7 by ana")
    assert life.commands == (["job.queued"] if phase is P.queued else []), "the scheduler hears of it at once"
    before = life.job
    assert life.tell(PriorityChanged(organisation="acme", priority=7, requested_by="ana")).job is before
    life.tell(PriorityChanged(organisation="evil", priority=9, requested_by="eve"))
    assert (life.last.answer, life.job.priority) == (Answer.foreign, 7)


def test_a_priority_after_the_end_comes_too_late(life: Any) -> None:
    life.in_phase(P.clean).tell(PriorityChanged(organisation="acme", priority=7, requested_by="ana"))
    assert (life.last.answer, life.job.priority) == (Answer.too_late, 0)


def test_a_job_is_not_clean_before_the_parent_that_it_was_given_late_knows_of_it(life: Any) -> None:
    """Its cancel came before its request; the cleaner had looked in between, when it had no parent."""
    life.tell(CancelRequested(job=life.id, organisation="acme", requested_by="ana"))
    life.request(parent="p")
    assert not life.tell(Cleaned()).last.changed
    assert life.job.phase is P.cleaning
    assert life.tell(Cleaned(parent="p")).at() == (P.clean, State.cancelled)


def test_a_dependency_that_nobody_knows_is_told_of_once_and_waited_for(life: Any) -> None:
    missing, there = new_id(), new_id()
    life.request(depends_on=(missing, there))
    nobody = RelatedSeen(states={missing: None, there: State.completed})
    life.tell(nobody)
    assert life.types == ["requested"], "its request may have been overtaken"
    life.tell(nobody, after=life.policy.related_s).tell(nobody, after=60)
    assert life.types == ["requested", "dependency_unknown"]
    assert life.job.events[-1].detail == missing
    assert why_waiting(life.job, None).endswith(f"not known in this organisation when it was looked for: {missing}")
    life.tell(RelatedSeen(states={missing: State.completed, there: State.completed}))
    assert life.at() == (Phase.queued, State.queued)
