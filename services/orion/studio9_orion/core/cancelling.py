"""Cancelling in every state."""

from studio9_common.contracts.job import Phase, State
from studio9_common.contracts.reasons import Reason, reason
from studio9_orion.core import attempts, ending
from studio9_orion.core.decision import Answer, Decision, Reply
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import CancelRequested
from studio9_orion.core.life import HELD, OVER
from studio9_orion.core.replies import reply


def cancel_requested(draft: Draft, event: CancelRequested) -> Decision:
    """A user's cancel. After the end it is answered with how the job ended: "finished first"."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    if job.phase in OVER:
        draft.effects.append(Reply(reply(draft, ending.ENDED[job.state])))
        return draft.decision(Answer.too_late if job.state is not State.cancelled else Answer.unchanged)
    if job.cancel_requested_at is None:
        draft.set(cancel_requested_at=draft.time)
        cancel(draft, reason("cancelled", f"Cancelled by {event.requested_by}."[:200]))
    return draft.decision()


def cancel(draft: Draft, why: Reason) -> None:
    """Ends a job that no worker has; tells the worker of one that has, and waits for it no longer than allowed."""
    job = draft.job
    if job.phase is Phase.cancelling:
        return
    if job.phase in HELD:
        ending.stop_worker(draft)
        draft.record("cancel_requested", attempt=job.attempts[-1].number, reason=why)
        draft.wait(cancelling=draft.policy.cancelling_s)
        return
    attempt = attempts.current(job)
    if attempt is not None and attempt.outcome == "lost":
        ending.stop_worker(draft)
    ending.end(draft, State.cancelled, why)
