"""A task that ends by asking for children: made once, waited for, asked for again where they got lost, brought back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from studio9_common.contracts.job import ChildRequest, Command, ObjectRef, Phase, Requirements, Spec, State, dump, load
from studio9_common.contracts.messages import JobRequested, WorkerRun
from studio9_common.contracts.reasons import reason
from studio9_common.contracts.waiting import why_waiting
from studio9_common.ids import created_at, is_id, new_id
from studio9_common.times import format_time, parse_time
from studio9_orion.core import Policy, fold
from studio9_orion.core.asking import asked_for
from studio9_orion.core.decision import Answer
from studio9_orion.core.events import ChildEnded, Cleaned, Emptied, RelatedSeen, Requested, ResultReceived
from studio9_orion.core.keeping import emptied, kept_fences
from studio9_orion.rendering import message_of

P = Phase
STUDY = ObjectRef(key="acme/jobs/j/1/checkpoints/000000-00000000-a.json", sha256="a" * 64, size=9)
MADE = ObjectRef(key="acme/jobs/c/1/manifest.json", sha256="b" * 64, size=9)


def wanted(*names: str) -> tuple[ChildRequest, ...]:
    return tuple(ChildRequest(name=name, spec=Spec(kind="trial", framework="yolo")) for name in names)


def asking(life: Any, *names: str) -> Any:
    """A parent whose first task has asked for children."""
    life.request(spec=Spec(kind="tune", requirements=Requirements(gpus=1), image="sha256:1"), project="p")
    return life.assign().beat().result(checkpoint=STUDY, children=wanted(*names))


def ended(life: Any, name: str, state: State = State.completed, **given: Any) -> Any:
    child = next(one.job for one in life.job.children if one.name == name)
    return life.tell(ChildEnded(child=child, organisation="acme", state=state, **given))


def run_of(life: Any) -> WorkerRun:
    command = next(one for one in life.last.commands if one.type == WorkerRun.type)
    message = message_of(life.job, command, life.policy)
    assert isinstance(message, WorkerRun)
    return message


def test_children_are_requested_as_jobs_of_their_parents(life: Any) -> None:
    asking(life, "a", "b")
    assert life.at() == (P.backing_off, State.queued) and life.attempt.outcome == "succeeded"
    assert life.commands == ["job.requested", "job.requested", "job.queued"]
    for command, child in zip(life.last.commands[:2], life.job.children, strict=True):
        message = message_of(life.job, command, life.policy)
        assert isinstance(message, JobRequested) and message.job == child.job and is_id(child.job)
        assert abs(created_at(child.job) - life.now) < timedelta(seconds=1)
        assert (message.parent, message.owner, message.project) == (life.id, "ana", "p")
        assert message.spec.kind == "trial" and message.spec.image == "sha256:1"
        assert message.spec.requirements.gpus == 1, "a child runs where its parent may"
    assert fold(life.job.events).phase is P.backing_off
    assert load(dump(life.job)) == life.job


def test_the_parent_goes_on_with_the_last_of_them(life: Any) -> None:
    asking(life, "a", "b")
    ended(life, "a", manifest=MADE)
    assert life.at() == (P.backing_off, State.queued)
    assert why_waiting(life.job, None) == "waits for 1 of the 2 children that its task asked for"
    ended(life, "b", State.failed, reason=reason("workers_lost"))
    assert life.at() == (P.queued, State.queued)
    run = (life.assign(), run_of(life))[1]
    assert run.resume == STUDY and run.fence == 2
    told = [(one.name, one.state, one.manifest, one.reason and one.reason.code) for one in run.children]
    assert told == [("a", State.completed, MADE, None), ("b", State.failed, None, "workers_lost")]
    life.beat().result(manifest=MADE)
    assert life.at() == (P.cleaning, State.completed) and life.job.children == ()


def test_a_parent_that_is_lost_gets_the_same_again(life: Any) -> None:
    asking(life, "a")
    ended(life, "a", manifest=MADE)
    life.assign().beat().pass_deadline("silent").pass_deadline("back_off")
    run = (life.assign("w2"), run_of(life))[1]
    assert run.resume == STUDY and [one.manifest for one in run.children] == [MADE]


def test_the_wait_for_a_slot_begins_anew_after_a_round(life: Any) -> None:
    """Not with the very first one: the hours of the trials are no hours of waiting."""
    asking(life, "a")
    assert life.job.queued_at is None
    life.stored = replace(life.job, spec=replace(life.job.spec, queue_timeout_s=3_600.0))
    life.now += timedelta(hours=2)
    ended(life, "a")
    assert life.job.queued_at == format_time(life.now)
    assert parse_time(life.job.deadlines["queued"]) - life.now == timedelta(hours=1)
    life.assign(after=600.0).result("refused", reason("no_slot"))
    assert life.at() == (P.queued, State.queued)
    assert parse_time(life.job.deadlines["queued"]) - life.now > timedelta(minutes=49), "what is left of the hour"


def test_what_is_told_twice_asks_once(life: Any) -> None:
    asking(life, "a")
    before = life.job
    life.result(checkpoint=STUDY, children=wanted("a"))
    assert life.last.answer is Answer.unchanged and life.job is before
    ended(life, "a")
    before = life.job
    life.result(checkpoint=STUDY, children=wanted("a")).tell(
        ChildEnded(child=before.children[0].job, organisation="acme", state=State.completed)
    )
    assert life.job is before


def test_a_request_that_got_lost_is_made_again(life: Any) -> None:
    asking(life, "a", "b")
    a, b = (one.job for one in life.job.children)
    life.pass_deadline("related")
    assert life.last.effects and "related" in life.job.deadlines
    life.stored = load(dump(life.job) | {"outbox": []})
    life.tell(RelatedSeen(states={a: State.running, b: None}))
    assert [(one.type, one.data) for one in life.last.commands] == [(JobRequested.type, {"job": b, "asked": "1:b"})]
    life.tell(RelatedSeen(states={a: State.running, b: None}))
    assert not life.last.commands, "it still waits to be sent"


def test_a_cancel_ends_the_parent_at_once(life: Any) -> None:
    asking(life, "a").cancel()
    assert life.at() == (P.cleaning, State.cancelled) and life.last.effects, "its children hear of it"
    life.tell(ChildEnded(child=life.job.children[0].job, organisation="acme", state=State.cancelled))
    assert life.at() == (P.cleaning, State.cancelled)


def test_a_task_that_is_cancelled_asks_in_vain(life: Any) -> None:
    life.request().assign().beat().cancel().result(children=wanted("a"))
    assert life.at() == (P.cleaning, State.cancelled) and life.job.children == ()


@pytest.mark.parametrize(
    ("parent", "children", "says"),
    [
        ("p", wanted("a"), "a child cannot ask"),
        (None, wanted("a", "a"), "the same name"),
        (None, wanted(*(f"c{n}" for n in range(9))), "9 at once; at most 8"),
        (None, (ChildRequest(name="a", spec=Spec(kind="predict")),), "cannot predict"),
        (None, (ChildRequest(name="a", spec=Spec(kind="trial", parameters={"x": "y" * 22_000})),), "bytes of requests"),
    ],
)
def test_what_cannot_be_asked_for_ends_the_job_and_says_why(
    life: Any, parent: str | None, children: tuple[ChildRequest, ...], says: str
) -> None:
    life.request(parent=parent)
    if parent:
        life.tell(RelatedSeen(states={parent: State.running}))
    life.assign().beat().result(children=children)
    assert life.at() == (P.cleaning, State.failed)
    assert life.job.reason.code == "bad_output" and says in life.job.reason.message


def test_a_job_does_not_ask_for_ever(new_life: Any) -> None:
    life = asking(new_life(Policy(max_children_in_all=3)), "a", "b")
    ended(life, "a"), ended(life, "b")
    life.assign().beat().result(children=wanted("c", "d"))
    assert life.job.state is State.failed and "over 3" in life.job.reason.message


def test_what_was_lost_before_it_got_on_counts_no_more(life: Any) -> None:
    life.request(spec=Spec(kind="tune"))
    for round_ in range(9):
        life.assign("w1").beat().result("failed", reason("staging_error"))
        life.pass_deadline("back_off").assign("w2").beat().pass_deadline("silent")
        life.pass_deadline("back_off").assign("w3").beat().result(checkpoint=STUDY, children=wanted(f"a{round_}"))
        assert life.at() == (P.backing_off, State.queued)
        ended(life, f"a{round_}")
    assert len(life.job.attempts) == 16 and life.job.fence == 27
    for number in range(3):
        life.assign("w1").beat().result("failed", reason("staging_error")).pass_deadline("back_off")
        assert life.job.phase is P.queued, number
    life.assign("w1").beat().result("failed", reason("staging_error"))
    assert life.job.state is State.failed


def test_results_of_earlier_tasks_change_nothing(life: Any) -> None:
    asking(life, "a")
    ended(life, "a")
    life.assign()
    late = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded", children=wanted("z"))
    life.tell(late)
    assert life.last.answer is Answer.superseded and life.job.phase is P.assigned


def first_child(life: Any, new_life: Any, **changes: Any) -> Any:
    """The first of the children for which a parent's task has asked, from its request on."""
    message = message_of(life.job, next(one for one in life.job.outbox if one.type == JobRequested.type), life.policy)
    assert isinstance(message, JobRequested)
    child = new_life()
    given = {"job": message.job, "organisation": "acme", "owner": message.owner, "spec": message.spec}
    given |= {"request_hash": "h", "parent": message.parent, "context": message.context} | changes
    child.id = given["job"]
    return child.tell(Requested(**given)).tell(RelatedSeen(states={life.id: State.queued}))


def test_a_child_shows_that_a_task_has_asked_for_it(life: Any, new_life: Any) -> None:
    asking(life, "a")
    assert asked_for(load(dump(first_child(life, new_life).job)))
    for others in (
        {"job": new_id()},
        {"parent": new_id()},
        {"parent": None},
        {"context": {}},
        {"context": {"asked": "1:b"}},
        {"context": {"asked": 1}},
    ):
        assert not asked_for(first_child(life, new_life, **others).job), others
    assert not asked_for(life.job)


def test_a_request_that_an_earlier_version_has_left_stays_the_same_request(life: Any) -> None:
    asking(life, "a")
    left = Command(
        n=9, type=JobRequested.type, data={"job": life.job.children[0].job}, created_at=format_time(life.now)
    )
    message = message_of(life.job, left, life.policy)
    assert isinstance(message, JobRequested) and message.parent == life.id and message.context == {}


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_nothing_of_a_child_is_kept_once_its_parent_has_ended(life: Any, new_life: Any, outcome: str) -> None:
    child = first_child(asking(life, "a"), new_life)
    child.assign().beat()
    assert child.tell(Emptied(parent_state=State.cancelled)).last.answer is Answer.unchanged, "it has not ended"
    last = ObjectRef(key=f"acme/jobs/{child.id}/1/checkpoints/000001-00000000-a.pt", sha256="a" * 64, size=9)
    child.result(outcome, None if outcome == "succeeded" else reason("user_error"), checkpoint=last)
    state, why, log = child.job.state, child.job.reason, child.attempt.exit
    assert kept_fences(child.job) == {1}
    child.tell(Emptied(parent_state=State.completed)).tell(Cleaned(parent=life.id))
    assert child.types[-2:] == ["outputs_removed", "cleaned"] and child.job.events[-2].detail == "its parent completed"
    assert child.at() == (P.clean, state) and (child.job.reason, child.attempt.exit) == (why, log), "it still tells why"
    assert emptied(child.job) and kept_fences(child.job) == frozenset() and child.job.checkpoint is None
    assert fold(child.job.events).phase is P.clean and load(dump(child.job)) == child.job
    before = child.job
    assert child.tell(Emptied(parent_state=State.completed)).job is before, "told twice, noted once"


def test_a_child_that_somebody_has_requested_keeps_what_it_made(life: Any, new_life: Any) -> None:
    child = first_child(asking(life, "a"), new_life, job=new_id()).assign().beat().result(manifest=MADE)
    child.tell(Emptied(parent_state=State.completed))
    assert child.last.answer is Answer.unchanged and kept_fences(child.job) == {1}
