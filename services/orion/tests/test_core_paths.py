"""The ways through a job's life, one by one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from studio9_common.contracts.checkpoints import checkpoint_key
from studio9_common.contracts.job import Exit, Input, ObjectRef, Phase, Source, Spec, State
from studio9_common.contracts.messages import JobClean
from studio9_common.contracts.reasons import ReasonClass, reason
from studio9_orion.core import Answer
from studio9_orion.core.decision import CheckRelated, Reply, TellRelated
from studio9_orion.core.events import Cleaned, DeadLettered, OutputReported, RelatedSeen, Unroutable

P, S = Phase, State
CHECKPOINT = ObjectRef(key="acme/jobs/j/1/last.pt", sha256="1" * 64, size=7)


def test_the_straight_way(life: Any) -> None:
    assert (life.request().commands, life.replies) == ([], ["job.accepted", "job.queued"])
    assert life.at() == (P.queued, S.queued)
    assert life.assign().commands == ["worker.run"]
    assert life.at() == (P.assigned, S.queued)
    assert life.beat("staging").at() == (P.starting, S.running)
    assert life.beat().commands == ["job.started"]
    assert life.result(manifest=CHECKPOINT, summary={"map50": 0.9}).commands == ["job.completed", "job.clean"]
    assert life.at() == (P.cleaning, S.completed)
    assert life.job.result.summary == {"map50": 0.9}
    assert life.job.attempts[0].outcome == "succeeded"
    assert TellRelated() in life.last.effects
    assert life.tell(Cleaned()).at() == (P.clean, S.completed)
    assert life.types == ["requested", "queued", "assigned", "starting", "running", "completed", "cleaned"]
    assert life.job.deadlines == {}


def test_a_result_before_any_beat_counts(life: Any) -> None:
    assert life.request().assign().result().at() == (P.cleaning, S.completed)
    assert life.job.started_at is not None


def test_the_same_request_again_is_answered_and_changes_nothing(life: Any) -> None:
    before = life.request().job
    life.request()
    assert life.job is before
    assert isinstance(life.last.effects[0], Reply)
    assert life.last.answer is Answer.unchanged


def test_another_request_under_the_same_id_is_recorded_and_ignored(life: Any) -> None:
    life.request().request(request_hash="other")
    assert life.last.answer is Answer.conflict
    assert life.types[-1] == "conflicting_request"
    assert not life.request(request_hash="other").last.changed


def test_another_organisation_sees_no_job(life: Any) -> None:
    life.request().assign()
    report = OutputReported(organisation="evil", output="predictions", state="loaded")
    acts: list[Callable[[], Any]] = [
        lambda: life.request(organisation="evil"),
        lambda: life.cancel(organisation="evil"),
        lambda: life.result(organisation="evil"),
        lambda: life.tell(report),
    ]
    for act in acts:
        act()
        assert life.last.answer is Answer.foreign
        assert not life.last.changed


def test_a_request_that_is_too_large_ends_as_bad_input(life: Any) -> None:
    life.request(spec=Spec(kind="train", parameters={"list": ["x" * 100] * 400}))
    assert life.at() == (P.cleaning, S.failed)
    assert life.job.reason.code == "bad_input"
    assert life.job.spec.parameters == {}


def test_a_lost_worker_is_replaced_from_the_last_checkpoint(life: Any) -> None:
    life.in_phase(P.running).beat(checkpoint=CHECKPOINT)
    life.tick(60, heard_until=life.job.deadlines["silent"])
    assert life.at() == (P.backing_off, S.queued)
    assert life.job.reason.code == "worker_lost"
    assert life.pass_deadline("back_off").at() == (P.queued, S.queued)
    life.assign("w2")
    assert (life.job.fence, life.attempt.number, life.job.checkpoint) == (2, 2, CHECKPOINT)


def test_a_beat_that_comes_late_does_not_bring_an_older_checkpoint_back(life: Any) -> None:
    """The worker deletes it once a newer one was heard of; an attempt told to resume from it would find nothing."""
    older, newer = (
        ObjectRef(key=checkpoint_key("acme/jobs/j/1/", epoch=epoch, step=0, sha256="1" * 64, suffix=".pt"),
                  sha256="1" * 64, size=7)
        for epoch in (1, 2)
    )  # fmt: skip
    life.in_phase(P.running).beat(checkpoint=older).beat(checkpoint=newer).beat(checkpoint=older)
    assert (life.job.checkpoint, life.attempt.checkpoint) == (newer, newer)


def test_a_job_that_loses_two_workers_ends(life: Any) -> None:
    life.in_phase(P.backing_off).pass_deadline().assign("w2").beat().pass_deadline("silent")
    assert life.at() == (P.cleaning, S.failed)
    assert life.job.reason.code == "workers_lost"


def test_losing_the_same_worker_again_is_not_two_workers(life: Any) -> None:
    life.in_phase(P.backing_off).pass_deadline().assign("w1").beat().pass_deadline("silent")
    assert life.at() == (P.backing_off, S.queued)


def test_a_lost_attempt_that_is_heard_again_goes_on(life: Any) -> None:
    life.in_phase(P.backing_off).beat()
    assert life.at() == (P.running, S.running)
    assert life.attempt.ended_at is None
    assert life.job.reason is None
    assert life.commands == ["job.started"]


def test_a_lost_attempts_result_still_counts_until_the_next_is_assigned(life: Any) -> None:
    assert life.in_phase(P.backing_off).result().at() == (P.cleaning, S.completed)


def test_after_the_next_is_assigned_the_old_one_changes_nothing(life: Any) -> None:
    life.in_phase(P.backing_off).pass_deadline().assign("w2")
    life.result(fence=1, worker="w1")
    assert life.last.answer is Answer.superseded
    assert life.at() == (P.assigned, S.queued)
    assert life.types[-1] == "superseded"
    assert not life.beat(fence=1, worker="w1").last.changed, "recorded once per fence"


@pytest.mark.parametrize(("code", "tries"), [("staging_error", 4), ("internal", 2), ("user_error", 1)])
def test_retries_by_class(life: Any, code: str, tries: int) -> None:
    life.request()
    for number in range(1, tries + 1):
        life.assign(f"w{number}").beat().result("failed", reason(code))
        if number < tries:
            assert life.at() == (P.backing_off, S.queued)
            life.pass_deadline()
    assert life.at() == (P.cleaning, S.failed)
    assert life.job.reason.code == code
    assert len(life.job.attempts) == tries


def test_an_unknown_code_goes_by_its_class(life: Any) -> None:
    life.in_phase(P.running).result("failed", reason("comet", class_=ReasonClass.infrastructure))
    assert life.at() == (P.backing_off, S.queued)


def test_out_of_memory_is_not_retried_and_keeps_the_peak(life: Any) -> None:
    life.in_phase(P.running).result("failed", reason("out_of_memory"), exit=Exit(code=137, peak_memory=9 << 30))
    assert life.at() == (P.cleaning, S.failed)
    assert life.attempt.exit.peak_memory == 9 << 30


def test_preemption_spends_nothing_and_stays_small(life: Any) -> None:
    life.request()
    for _ in range(100):
        life.assign().beat().result("cancelled")
        assert life.at() == (P.queued, S.queued)
    assert len(life.job.events) < 12
    assert life.job.events[-1].count == 100
    assert len(life.job.attempts) <= 17


@pytest.mark.parametrize("how", ["refused", "unroutable"])
def test_a_refusal_costs_nothing_and_is_counted(life: Any, how: str) -> None:
    life.request()
    for _ in range(50):
        life.assign()
        if how == "refused":
            life.result("refused", reason("no_slot"))
        else:
            life.tell(Unroutable(fence=life.job.fence))
        assert life.at() == (P.queued, S.queued)
        assert not life.assign(after=0.5).last.changed, "a short wait first"
    life.assign()
    assert (life.attempt.number, life.job.fence, len(life.job.attempts)) == (1, 51, 1)
    assert len(life.job.events) == 5


def test_a_refusal_keeps_the_place_in_the_queue(life: Any) -> None:
    life.request()
    queued = life.job.queued_at
    assert life.assign().result("refused", reason("no_slot")).job.queued_at == queued


def test_a_copy_of_the_command_that_is_refused_does_not_stop_the_running_attempt(life: Any) -> None:
    assert life.in_phase(P.running).result("refused").at() == (P.running, S.running)


def test_cancel_before_the_request(life: Any) -> None:
    life.cancel()
    assert life.at() == (P.cleaning, S.cancelled)
    life.request()
    assert life.at() == (P.cleaning, S.cancelled)
    assert life.commands == ["job.accepted", "job.cancelled"]
    assert (life.job.spec.kind, life.job.context) == ("train", {"experiment": "e1"})
    assert life.request().last.answer is Answer.unchanged


@pytest.mark.parametrize("phase", [P.submitted, P.queued, P.backing_off])
def test_cancel_while_no_worker_has_it(life: Any, phase: Phase) -> None:
    assert life.in_phase(phase).cancel().at() == (P.cleaning, S.cancelled)


@pytest.mark.parametrize("phase", [P.assigned, P.starting, P.running])
@pytest.mark.parametrize("outcome", ["cancelled", "failed", "refused", None])
def test_cancel_while_a_worker_has_it(life: Any, phase: Phase, outcome: str | None) -> None:
    life.in_phase(phase).cancel()
    assert life.at() == (P.cancelling, S.running)
    assert life.commands == ["worker.cancel"]
    assert not life.cancel().last.changed
    life.result(outcome) if outcome else life.pass_deadline("cancelling")
    assert life.at() == (P.cleaning, S.cancelled)
    assert life.job.reason.code == "cancelled"


def test_success_before_the_end_of_cancelling_wins(life: Any) -> None:
    assert life.in_phase(P.cancelling).result().at() == (P.cleaning, S.completed)
    assert life.cancel().last.answer is Answer.too_late


def test_success_after_the_end_of_cancelling_is_only_recorded(life: Any) -> None:
    life.in_phase(P.cancelling).pass_deadline("cancelling").result()
    assert life.at() == (P.cleaning, S.cancelled)
    assert life.job.result is None
    assert life.types[-1] == "superseded"


@pytest.mark.parametrize("fence", [1, 2])
def test_what_a_worker_uploaded_after_the_job_was_clean_is_cleaned_too(life: Any, fence: int) -> None:
    life.in_phase(P.backing_off).pass_deadline().assign("w2").beat().cancel().pass_deadline("cancelling")
    life.tell(Cleaned())
    life.stored = replace(life.job, outbox=())
    life.result(fence=fence, worker=f"w{fence}")
    assert life.at() == (P.clean, S.cancelled)
    assert life.commands == ["job.clean"]
    assert life.result(fence=fence, worker=f"w{fence}").commands == [], "one order waits to be sent"


def test_cancel_after_the_end_is_answered_with_the_end(life: Any) -> None:
    life.in_phase(P.clean).cancel()
    assert life.last.answer is Answer.too_late
    assert life.last.effects[0].command.type == "studio9.job.completed.v1"


def test_silence_that_could_not_have_been_heard_is_not_silence(life: Any) -> None:
    life.in_phase(P.running)
    life.tick(3_600, deaf_until=life.now.replace(hour=23).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert life.at() == (P.running, S.running)
    assert life.tick(0).at() == (P.backing_off, S.queued)


def test_fresh_beats_put_off_the_look_at_a_running_job(life: Any) -> None:
    life.in_phase(P.running)
    heard = life.now.replace(minute=59).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert life.tick(60, heard_until=heard).at() == (P.running, S.running)
    assert life.job.deadlines["silent"] > heard[:14]


def test_an_assigned_worker_that_never_shows_the_attempt(life: Any) -> None:
    life.in_phase(P.assigned).pass_deadline("starting")
    assert life.at() == (P.backing_off, S.queued)
    assert life.job.reason.code == "start_timeout"
    assert life.beat("staging").at() == (P.starting, S.running), "it may still come"


def test_a_start_that_takes_too_long_is_stopped(life: Any) -> None:
    life.in_phase(P.starting)
    soon = life.now.replace(hour=23).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    life.tick(1_000, heard_until=soon)
    assert life.at() == (P.backing_off, S.queued)
    assert life.commands == ["worker.cancel", "job.queued"]
    assert life.beat("staging").at() == (P.backing_off, S.queued), "it was told to stop"
    assert life.result("cancelled", reason("cancelled")).at() == (P.backing_off, S.queued)
    assert life.attempt.reason.code == "start_timeout"


def test_a_start_takes_longer_where_inputs_come_from_a_bucket(life: Any) -> None:
    source = Source(bucket="harbour", region="us-east-1", credential="mine", prefix="")
    life.request(spec=Spec(kind="train", inputs=(Input(name="more", kind="folder", source=source),)))
    life.assign().beat("staging")
    soon = life.now.replace(hour=23).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert life.tick(7_100, heard_until=soon).at() == (P.starting, S.running)
    assert life.tick(200, heard_until=soon).at() == (P.backing_off, S.queued)


def test_a_task_that_runs_too_long_fails_by_policy(life: Any) -> None:
    life.request(spec=Spec(kind="train", max_run_s=100)).assign().beat()
    soon = life.now.replace(hour=23).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert life.tick(150, heard_until=soon).at() == (P.running, S.running)
    assert life.tick(20, heard_until=soon).at() == (P.cleaning, S.failed)
    assert life.job.reason.code == "timeout"
    assert "worker.cancel" in life.commands


def test_a_queue_limit_ends_the_wait(life: Any) -> None:
    life.request(spec=Spec(kind="train", queue_timeout_s=10)).tick(11)
    assert (life.job.state, life.job.reason.code) == (S.failed, "queue_timeout")


def test_a_dependent_waits_until_all_have_completed(life: Any) -> None:
    life.request(depends_on=("a", "b"))
    assert life.at() == (P.submitted, S.submitted)
    assert CheckRelated() in life.last.effects
    assert life.tell(RelatedSeen(states={"a": S.completed, "b": S.running})).at() == (P.submitted, S.submitted)
    assert life.tell(RelatedSeen(states={"a": S.completed, "b": None})).at() == (P.submitted, S.submitted)
    assert CheckRelated() in life.pass_deadline("related").last.effects
    assert life.tell(RelatedSeen(states={"a": S.completed, "b": S.completed})).at() == (P.queued, S.queued)


@pytest.mark.parametrize("state", [S.failed, S.cancelled])
def test_a_dependent_fails_with_what_it_depends_on(life: Any, state: State) -> None:
    life.request(depends_on=("a",)).tell(RelatedSeen(states={"a": state}))
    assert (life.job.state, life.job.reason.code) == (S.failed, "dependency_failed")


def test_a_child_ends_with_its_parent(life: Any) -> None:
    life.request(parent="p").tell(RelatedSeen(states={"p": S.running})).assign().beat()
    assert life.tell(RelatedSeen(states={"p": S.failed})).at() == (P.cancelling, S.running)
    assert life.result("cancelled").job.reason.code == "parent_ended"


@pytest.mark.parametrize("beats", [0, 1])
def test_a_child_looks_after_its_parent_by_itself(life: Any, beats: int) -> None:
    life.request(parent="p").tell(RelatedSeen(states={"p": S.running})).assign()
    for _ in range(beats):
        life.beat()
    soon = life.now.replace(hour=23).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for _ in range(3):
        life.tick(29, heard_until=soon, deaf_until=soon)
        assert CheckRelated() not in life.last.effects
        life.tick(2, heard_until=soon, deaf_until=soon)
        assert CheckRelated() in life.last.effects


def test_a_prediction_is_cleaned_when_the_warehouse_has_ended(life: Any) -> None:
    life.request(spec=Spec(kind="predict")).assign().beat().result(manifest=CHECKPOINT)
    assert life.commands == ["job.completed"]
    assert not life.tell(Cleaned()).last.changed
    report: Any = {"organisation": "acme", "output": "predictions"}
    assert life.tell(OutputReported(state="loading", **report)).at() == (P.cleaning, S.completed)
    life.tell(OutputReported(state="loaded", rows=12, **report))
    assert life.commands == ["job.clean"]
    assert life.job.outputs["predictions"].rows == 12
    assert not life.tell(OutputReported(state="loading", **report)).last.changed, "loaded is final"
    assert life.tell(Cleaned()).at() == (P.clean, S.completed)


def test_reports_of_the_warehouse_may_come_in_another_order(life: Any) -> None:
    life.request(spec=Spec(kind="predict")).assign().beat().result(manifest=CHECKPOINT)
    report: Any = {"organisation": "acme", "output": "predictions"}
    life.tell(OutputReported(state="failed", message="a part is not there", **report))
    assert life.commands == ["job.clean"]
    assert not life.tell(OutputReported(state="loading", **report)).last.changed
    assert life.job.outputs["predictions"].message == "a part is not there"
    life.tell(OutputReported(state="loaded", rows=3, **report))
    assert life.job.outputs["predictions"].rows == 3, "it was loaded again"


def test_a_warehouse_that_says_nothing_is_reminded_and_given_up(life: Any) -> None:
    life.request(spec=Spec(kind="predict")).assign().beat().result(manifest=CHECKPOINT)
    assert life.pass_deadline("outputs").commands == []
    assert life.job.outbox, "the first one still waits to be sent"
    life.pass_deadline("outputs_end")
    assert life.job.outputs["predictions"].state == "failed"
    assert life.commands == ["job.clean"]


def test_a_report_about_another_manifest_is_ignored(life: Any) -> None:
    life.request(spec=Spec(kind="predict")).assign().beat().result(manifest=CHECKPOINT)
    report = OutputReported(organisation="acme", output="predictions", state="loaded", manifest_sha256="f" * 64)
    assert not life.tell(report).last.changed


def test_cleaning_is_ordered_again_until_it_is_done(life: Any) -> None:
    life.in_phase(P.cleaning)
    assert life.pass_deadline().commands == [], "the first order still waits to be sent"
    for _ in range(20):
        assert "cleaning" in life.pass_deadline().job.deadlines


def test_only_the_last_attempt_keeps_its_log(life: Any) -> None:
    tail = tuple(f"line {number} " + "x" * 100 for number in range(300))
    life.in_phase(P.running).result("failed", reason("staging_error"), exit=Exit(code=1, log_tail=tail))
    kept = life.attempt.exit.log_tail
    assert kept[-1] == tail[-1]
    assert sum(len(line) + 1 for line in kept) <= 8 * 1024
    life.pass_deadline().assign("w2")
    assert life.job.attempts[0].exit.log_tail == ()


def test_a_dead_letter_is_recorded_on_the_job(life: Any) -> None:
    life.in_phase(P.running).tell(DeadLettered(type="studio9.worker.result.v1", why="20 failures"))
    assert life.types[-1] == "dead_letter"


def test_a_moot_start_command_leaves_the_outbox(life: Any) -> None:
    life.in_phase(P.assigned)
    assert any(command.type == "studio9.worker.run.v1" for command in life.job.outbox)
    life.result()
    assert not any(command.type == "studio9.worker.run.v1" for command in life.job.outbox)


def test_what_is_cleaned_up_takes_its_order_along_and_leaves_later_ones(new_life: Callable[..., Any]) -> None:
    life = new_life().in_phase(P.cleaning)
    order = next(one for one in life.job.outbox if one.type == JobClean.type)
    life.tell(Cleaned(n=order.n))
    assert life.at() == (P.clean, S.completed)
    assert JobClean.type not in {one.type for one in life.job.outbox}
    late = new_life().in_phase(P.cleaning)
    late.tell(Cleaned(n=order.n - 1))
    assert late.at() == (P.clean, S.completed)
    assert order in late.job.outbox, "whoever takes it looks once more"
    assert late.tell(Cleaned(n=order.n)).last.changed
    assert not late.tell(Cleaned(n=order.n)).last.changed
