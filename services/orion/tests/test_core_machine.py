"""A family of jobs, its messages in any order, any number of times, or never: what must hold holds after every step.

The machine keeps every command that was ever sent and every attempt that ever began, and plays them back as workers,
brokers and impatient people would.
"""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from studio9_common.contracts.job import TERMINAL, Job, ObjectRef, Phase, Spec, State
from studio9_common.contracts.messages import WorkerCancel, WorkerRun
from studio9_common.contracts.reasons import RULES, ReasonClass, reason
from studio9_common.times import format_time, parse_time
from studio9_orion.core import Policy, decide, fold
from studio9_orion.core.decision import TellRelated
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    ChildEnded,
    Cleaned,
    CoreEvent,
    RelatedSeen,
    Requested,
    ResultReceived,
    Tick,
)
from studio9_orion.core.life import OVER

NAMES = ("parent", "child", "sibling", "dependent")
FAMILY: dict[str, dict[str, Any]] = {
    "parent": {"spec": Spec(kind="tune", child_failure="fail")},
    "child": {"parent": "parent"},
    "sibling": {"parent": "parent"},
    "dependent": {"depends_on": ("child",)},
}
POLICY = Policy()
FAILURES = st.sampled_from([reason(code) for code in ("staging_error", "user_error", "task_crashed", "out_of_memory")])
TICK_S = 5.0

names = st.sampled_from(NAMES)


class Family(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.now = parse_time("2026-11-21T10:00:00.000000Z")
        self.jobs: dict[str, Job] = {}
        self.begun: list[tuple[str, str, int]] = []
        """(job, worker, fence) of every attempt there ever was."""
        self.stopped: set[tuple[str, int]] = set()
        self.ended: dict[str, Job] = {}
        self.cancels: dict[str, Any] = {}
        self.failed_children: set[str] = set()

    def tell(self, name: str, event: CoreEvent) -> None:
        before = self.jobs.get(name)
        decision = decide(before, event, self.now, POLICY)
        job = decision.job
        if job is None:
            return
        self.jobs[name] = job
        for command in decision.commands:
            if command.type == WorkerRun.type:
                self.begun.append((name, command.data["worker"], command.data["fence"]))
            if command.type == WorkerCancel.type:
                self.stopped.add((name, command.data["fence"]))
        if before is not None:
            assert job.fence - before.fence in (0, 1), "a fence grows by one, when an attempt is assigned"
            assert job.fence == before.fence or isinstance(event, Assigned)
        for effect in decision.effects:
            if isinstance(effect, TellRelated):
                self.ended.setdefault(name, job)

    # --- what may happen -------------------------------------------------------------------------------------------

    @rule(name=names)
    def request(self, name: str) -> None:
        given = {"spec": Spec(kind="train", max_run_s=600, queue_timeout_s=86_400), **FAMILY[name]}
        self.tell(name, Requested(job=name, organisation="acme", owner="ana", request_hash="h", **given))

    @rule(name=names)
    def cancel(self, name: str) -> None:
        self.tell(name, CancelRequested(job=name, organisation="acme", requested_by="ana"))
        self.cancels.setdefault(name, self.now)

    @rule(name=names)
    def look_at_relatives(self, name: str) -> None:
        states = {other: job.state for other, job in self.jobs.items()}
        self.tell(name, RelatedSeen(states={other: states.get(other) for other in NAMES}))

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def tell_the_parent(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ended)))
        parent = FAMILY[name].get("parent")
        if parent is not None and parent in self.jobs:
            state = self.jobs[name].state
            was_open = self.jobs[parent].state not in TERMINAL
            self.tell(parent, ChildEnded(child=name, organisation="acme", state=state))
            if was_open and state is not State.completed:
                self.failed_children.add(name)

    @rule(name=names, worker=st.sampled_from(["w1", "w2", "w3"]))
    def assign(self, name: str, worker: str) -> None:
        self.tell(name, Assigned(worker=worker))

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), phase=st.sampled_from(["staging", "running", "ended"]), checkpoint=st.booleans())
    def beat(self, data: st.DataObject, phase: Any, checkpoint: bool) -> None:
        name, worker, fence = data.draw(st.sampled_from(self.begun))
        ref = ObjectRef(key=f"acme/jobs/{name}/{fence}/last.pt", sha256="0" * 64, size=1) if checkpoint else None
        self.tell(name, Beat(worker=worker, fence=fence, phase=phase, checkpoint=ref))

    @precondition(lambda self: self.begun)
    @rule(
        data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "failed", "cancelled", "refused"]), why=FAILURES
    )
    def result(self, data: st.DataObject, outcome: Any, why: Any) -> None:
        name, worker, fence = data.draw(st.sampled_from(self.begun))
        before = self.jobs[name]
        given = why if outcome == "failed" else None
        self.tell(name, ResultReceived(worker=worker, organisation="acme", fence=fence, outcome=outcome, reason=given))
        if outcome == "succeeded" and fence == before.fence and before.state not in TERMINAL:
            assert self.jobs[name].state is State.completed, "invariant 4: a result of the current fence is accepted"

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        """Every tick looks at every job, as the sweep does; no beat is stored."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += timedelta(seconds=min(TICK_S, (end - self.now).total_seconds()))
            for name in sorted(self.jobs):
                if min(self.jobs[name].deadlines.values(), default="~") <= format_time(self.now):
                    self.tell(name, Tick(fence=self.jobs[name].fence))

    @rule(name=names)
    def clean(self, name: str) -> None:
        if name in self.jobs:
            self.tell(name, Cleaned(parent=self.jobs[name].parent))

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def the_history_is_the_state(self) -> None:
        for job in self.jobs.values():
            folded = fold(job.events)
            assert (folded.state, folded.phase, folded.reason) == (job.state, job.phase, job.reason)

    @invariant()
    def an_end_is_final(self) -> None:
        for name, then in self.ended.items():
            now = self.jobs[name]
            assert (now.state, now.reason, now.result, now.ended_at, now.attempts) == (
                then.state,
                then.reason,
                then.result,
                then.ended_at,
                then.attempts,
            )
        for name, job in self.jobs.items():
            assert (job.state in TERMINAL) == (job.phase in OVER) == (name in self.ended)

    @invariant()
    def one_attempt_counts(self) -> None:
        for job in self.jobs.values():
            opened = [attempt for attempt in job.attempts if attempt.ended_at is None]
            assert len(opened) <= 1
            assert all(attempt.fence == job.fence for attempt in opened)
            if job.checkpoint is not None:
                fence = int(job.checkpoint.key.split("/")[3])
                assert any(attempt.fence == fence and attempt.checkpoint for attempt in job.attempts)
            if job.result is not None:
                assert job.result.fence == job.fence

    @invariant()
    def retries_are_counted(self) -> None:
        for job in self.jobs.values():
            ended = [attempt.reason for attempt in job.attempts if attempt.outcome in {"failed", "lost"}]
            classes = [why.class_ for why in ended if why is not None]
            assert classes.count(ReasonClass.infrastructure) <= 4
            assert classes.count(ReasonClass.platform) <= 2
            assert sum(RULES[why.code].class_ is ReasonClass.user for why in ended if why is not None) <= 1

    @invariant()
    def a_cancel_ends_a_job_in_time(self) -> None:
        for name, since in self.cancels.items():
            if (self.now - since).total_seconds() > POLICY.cancelling_s + TICK_S:
                assert self.jobs[name].state in TERMINAL
            if name in self.jobs and self.jobs[name].phase is Phase.cancelling:
                assert (name, self.jobs[name].fence) in self.stopped, "its worker was told"

    @invariant()
    def families_hold_together(self) -> None:
        if self.failed_children:
            assert self.jobs["parent"].state in TERMINAL or self.jobs["parent"].phase is Phase.cancelling
        dependent = self.jobs.get("dependent")
        if dependent is not None and dependent.fence:
            assert self.jobs["child"].state is State.completed

    @invariant()
    def whatever_is_not_clean_has_a_deadline(self) -> None:
        for job in self.jobs.values():
            assert bool(job.deadlines) == (job.phase is not Phase.clean)


Family.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFamily = Family.TestCase
