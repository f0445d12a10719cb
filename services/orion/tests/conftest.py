"""A job in the hands of the core, with a clock that only the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from studio9_common.contracts.job import Attempt, Job, ObjectRef, Phase, Spec, State
from studio9_common.contracts.reasons import Reason
from studio9_common.ids import new_id
from studio9_common.times import parse_time
from studio9_orion.core import Decision, Policy, decide
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    Cleaned,
    CoreEvent,
    Requested,
    ResultReceived,
    Tick,
)

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
REF = ObjectRef(key="acme/jobs/j/1/manifest.json", sha256="0" * 64, size=10)


class Life:
    """One job: each call tells the core something and keeps the new job."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.id = new_id()
        self.policy = policy or Policy()
        self.now = START
        self.stored: Job | None = None
        self.last = Decision(None)

    @property
    def job(self) -> Job:
        assert self.stored is not None
        return self.stored

    @property
    def attempt(self) -> Attempt:
        return self.job.attempts[-1]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.job.events]

    @property
    def commands(self) -> list[str]:
        """The types of the last decision's commands, without `studio9.` and `.v1`."""
        return [command.type.removeprefix("studio9.").removesuffix(".v1") for command in self.last.commands]

    def tell(self, event: CoreEvent, *, after: float = 1.0) -> "Life":
        self.now += timedelta(seconds=after)
        self.last = decide(self.stored, event, self.now, self.policy)
        self.stored = self.last.job
        return self

    def at(self) -> tuple[Phase, State]:
        return self.job.phase, self.job.state

    def request(self, **changes: Any) -> "Life":
        given: dict[str, Any] = {
            "job": self.id,
            "organisation": "acme",
            "owner": "ana",
            "spec": Spec(kind="train"),
            "request_hash": "h",
            "context": {"experiment": "e1"},
        }
        return self.tell(Requested(**(given | changes)))

    def cancel(self, **changes: Any) -> "Life":
        given = {"job": self.id, "organisation": "acme", "requested_by": "ana"}
        return self.tell(CancelRequested(**(given | changes)))

    def assign(self, worker: str = "w1", *, after: float = 60.0) -> "Life":
        return self.tell(Assigned(worker=worker), after=after)

    def beat(self, phase: Any = "running", **changes: Any) -> "Life":
        given: dict[str, Any] = {"worker": self.attempt.worker, "fence": self.job.fence, "phase": phase}
        return self.tell(Beat(**(given | changes)))

    def result(self, outcome: Any = "succeeded", why: Reason | None = None, **changes: Any) -> "Life":
        given: dict[str, Any] = {
            "worker": self.attempt.worker,
            "organisation": "acme",
            "fence": self.job.fence,
            "outcome": outcome,
            "reason": why,
        }
        return self.tell(ResultReceived(**(given | changes)))

    def tick(self, after: float = 1.0, **given: Any) -> "Life":
        return self.tell(Tick(**given), after=after)

    def pass_deadline(self, name: str | None = None) -> "Life":
        """Ticks just after the named deadline (or the earliest)."""
        due = self.job.deadlines[name] if name else min(self.job.deadlines.values())
        return self.tick(max((parse_time(due) - self.now).total_seconds(), 0) + 0.001)

    def in_phase(self, phase: Phase) -> "Life":
        """A new job brought to a phase by the shortest way."""
        if phase is Phase.submitted:
            return self.request(depends_on=("other",))
        self.request()
        if phase is Phase.queued:
            return self
        self.assign()
        match phase:
            case Phase.assigned:
                return self
            case Phase.starting:
                return self.beat("staging")
            case Phase.running:
                return self.beat()
            case Phase.cancelling:
                return self.beat().cancel()
            case Phase.backing_off:
                return self.beat().pass_deadline("silent")
        return self.beat().result() if phase is Phase.cleaning else self.beat().result().tell(Cleaned())


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def new_life() -> Callable[..., Life]:
    return Life
