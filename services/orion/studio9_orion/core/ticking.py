"""Deadlines. A tick judges what is due; silence that could not have been heard is not judged."""

from studio9_common.contracts.job import Phase, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import attempts, ending, intake
from studio9_orion.core.decision import CheckRelated, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import Tick


def tick(draft: Draft, event: Tick) -> Decision:
    """Applies whatever deadline of the job's phase has passed."""
    phase = draft.job.phase
    deaf = event.deaf_until is not None and event.deaf_until > draft.time
    if draft.due("related"):
        draft.wait(related=draft.policy.related_s)
        draft.effects.append(CheckRelated())
    match phase:
        case Phase.submitted | Phase.queued if draft.due("queued") and not deaf:
            ending.end(draft, State.failed, reason("queue_timeout"))
        case Phase.backing_off if draft.due("back_off"):
            intake.enqueue(draft)
        case Phase.assigned if draft.due("starting") and not deaf:
            _give_up(draft, "start_timeout", "The worker did not show the attempt in time; the job goes on elsewhere.")
        case Phase.starting | Phase.running if not deaf and event.fence in {None, draft.job.fence}:
            _held(draft, event)
        case Phase.cancelling if draft.due("cancelling") and not deaf:
            ending.end(draft, State.cancelled, draft.job.reason)
        case Phase.cleaning:
            _cleaning(draft)
    return draft.decision()


def _held(draft: Draft, event: Tick) -> None:
    """Silence is judged by the beat that is stored; the job's own deadline stands in where there is none."""
    job = draft.job
    silent_at = event.heard_until or job.deadlines.get("silent", draft.time)
    if silent_at <= draft.time:
        _give_up(draft, "worker_lost")
    elif draft.due("running"):
        _stop(draft, "timeout")
    elif draft.due("starting"):
        _stop(draft, "start_timeout")
    elif draft.due("silent"):
        draft.until(silent=max(silent_at, draft.at(draft.policy.silent_check_s)))


def _give_up(draft: Draft, code: str, message: str | None = None) -> None:
    """Declares the attempt lost. It may still come back, until the next one is assigned."""
    why = reason(code, message)
    draft.set(attempts=attempts.closed(draft.job, "lost", draft.time, reason=why))
    ending.retry_or_end(draft, why, type="lost")


def _stop(draft: Draft, code: str) -> None:
    """Ends an attempt whose worker is there, but whose time is up."""
    why = reason(code)
    ending.stop_worker(draft)
    draft.set(attempts=attempts.closed(draft.job, "failed", draft.time, reason=why))
    ending.retry_or_end(draft, why)


def _cleaning(draft: Draft) -> None:
    if draft.due("outputs_end"):
        ending.give_up_outputs(draft)
    elif draft.due("outputs"):
        ending.remind_of_outputs(draft)
    elif draft.due("cleaning"):
        ending.order_cleaning(draft)
