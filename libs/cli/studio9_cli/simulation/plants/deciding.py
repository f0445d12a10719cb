"""Planted bugs in the core: what events lead to."""

from dataclasses import replace
from typing import Any

from studio9_cli.simulation.substitutes import Substitute, module
from studio9_common.contracts.job import Phase, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import attempts, ending, resulting, running
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import Beat, RelatedSeen, ResultReceived

_decide = module("studio9_orion.core.decide")


def result_dropped_in_another_state() -> list[Substitute]:
    """Hole 1: a result that comes before the attempt is known to run is dropped, its worker told that it is there."""
    known = resulting.result_received
    lease = module("studio9_orion.supervisor").lease_for

    def result_received(draft: Draft, event: ResultReceived) -> Decision:
        if draft.job.phase in {Phase.assigned, Phase.starting}:
            return draft.decision(Answer.unchanged)
        return known(draft, event)

    def beat(draft: Draft, event: Beat) -> Decision:
        return draft.decision(Answer.unchanged) if event.phase == "ended" else _beat(draft, event)

    def lease_for(job: Any, event: Beat) -> Any:
        return "confirmed" if event.phase == "ended" else lease(job, event)

    _beat = running.beat
    return [
        (resulting, "result_received", result_received),
        (running, "beat", beat),
        (module("studio9_orion.supervisor"), "lease_for", lease_for),
    ]


def unroutable_run_ignored() -> list[Substitute]:
    """Hole 5: a command that could not be sent ends the supervision without a word."""

    def unroutable(draft: Draft, event: Any) -> Decision:
        draft.set(deadlines={})
        return draft.decision()

    return [(running, "unroutable", unroutable)]


def cancel_without_deadline() -> list[Substitute]:
    """Hole 6: a cancel waits for its worker however dead that is."""
    wait = Draft.wait

    def patient(self: Draft, **seconds: float) -> None:
        seconds.pop("cancelling", None)
        wait(self, **seconds)

    return [(Draft, "wait", patient)]


def cancel_before_request_dropped() -> list[Substitute]:
    """Hole 6, its other half: a cancel that overtakes its request is forgotten."""
    known = _decide._unknown

    def unknown(event: Any, now: Any, policy: Any) -> Decision:
        return Decision(None, answer=Answer.unknown) if event.name == "cancel" else known(event, now, policy)

    return [(_decide, "_unknown", unknown)]


def loss_ends_the_job() -> list[Substitute]:
    """Hole 7: a worker's death is the job's."""
    known = ending.retry_or_end

    def retry_or_end(draft: Draft, why: Any, *, type: str = "attempt_failed") -> None:
        if why.code == "worker_lost":
            ending.end(draft, State.failed, why)
        else:
            known(draft, why, type=type)

    return [(ending, "retry_or_end", retry_or_end)]


def stale_fence_overwrites_checkpoint() -> list[Substitute]:
    """A superseded attempt's checkpoint becomes the job's."""
    known = running.superseded

    def superseded(draft: Draft, fence: int, what: str) -> Decision:
        return known(draft, fence, what)

    def beat(draft: Draft, event: Beat) -> Decision:
        if event.fence < draft.job.fence and event.checkpoint is not None and draft.job.phase is Phase.running:
            draft.set(checkpoint=event.checkpoint)
        return _beat(draft, event)

    _beat = running.beat
    return [(running, "superseded", superseded), (running, "beat", beat)]


def stale_result_accepted() -> list[Substitute]:
    """The result of a superseded attempt ends the job."""
    known = resulting.result_received

    def result_received(draft: Draft, event: ResultReceived) -> Decision:
        if 0 < event.fence < draft.job.fence:
            event = replace(event, fence=draft.job.fence, worker=draft.job.attempts[-1].worker)
        return known(draft, event)

    return [(resulting, "result_received", result_received)]


def user_errors_retried() -> list[Substitute]:
    """An error in the user's data is tried again, and again."""
    known = ending.retry_or_end

    def retry_or_end(draft: Draft, why: Any, *, type: str = "attempt_failed") -> None:
        known(draft, reason("staging_error") if why.code == "bad_input" else why, type=type)

    return [(ending, "retry_or_end", retry_or_end)]


def dependencies_by_one() -> list[Substitute]:
    """A dependent begins as soon as one of those it depends on has completed."""
    related = module("studio9_orion.core.related")
    known = related.related_seen

    def related_seen(draft: Draft, event: RelatedSeen) -> Decision:
        if State.completed in event.states.values():
            event = RelatedSeen(states=dict.fromkeys(event.states, State.completed))
        return known(draft, event)  # type: ignore[no-any-return] # the module is looked up by its name

    return [(related, "related_seen", related_seen)]


def cancelled_after_completed() -> list[Substitute]:
    """Hole 8, as the user sees it: a cancel that comes late turns a completed job into a cancelled one."""
    cancelling = module("studio9_orion.core.cancelling")
    known = cancelling.cancel_requested

    def cancel_requested(draft: Draft, event: Any) -> Decision:
        if draft.job.phase is Phase.cleaning and draft.job.state is State.completed:
            draft.set(state=State.cancelled)
            return draft.decision()
        return known(draft, event)  # type: ignore[no-any-return] # the module is looked up by its name

    return [(cancelling, "cancel_requested", cancel_requested)]


def lost_attempt_keeps_its_fence() -> list[Substitute]:
    """The next attempt gets the fence of the one before."""
    known = attempts.opened

    def opened(job: Any, **given: Any) -> Any:
        newer = known(job, **given)
        fence = max(job.fence, 1)
        return (*newer[:-1], replace(newer[-1], fence=fence))

    return [(attempts, "opened", opened)]


class _Newest(dict[str, int]):
    """Whatever comes counts more than what is known."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def __missing__(self, state: str) -> int:
        self._next -= 1
        return self._next


def output_goes_back() -> list[Substitute]:
    """Of two reports on an output the one that comes last counts: `loading` after `loaded`."""
    return [(module("studio9_orion.core.outputs"), "OUTPUT_ORDER", _Newest())]


PLANTS = (
    output_goes_back,
    result_dropped_in_another_state,
    unroutable_run_ignored,
    cancel_without_deadline,
    cancel_before_request_dropped,
    loss_ends_the_job,
    stale_fence_overwrites_checkpoint,
    stale_result_accepted,
    user_errors_retried,
    dependencies_by_one,
    cancelled_after_completed,
    lost_attempt_keeps_its_fence,
)
