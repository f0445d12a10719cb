"""What a worker's result leads to: accepted from the current fence in every phase before the end (invariant 4)."""

import json
from collections.abc import Mapping
from typing import Any

from studio9_common.contracts.job import Exit, Phase, Result, State
from studio9_common.contracts.messages import JobClean
from studio9_common.contracts.reasons import Reason, reason
from studio9_orion.core import asking, attempts, ending
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import ResultReceived
from studio9_orion.core.life import OVER, WAITING
from studio9_orion.core.running import superseded


def result_received(draft: Draft, event: ResultReceived) -> Decision:
    """Success ends the job as completed, also in `cancelling`; a failure is retried as its reason allows."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    attempt = attempts.current(job)
    if event.fence != job.fence or attempt is None:
        return _nobodys(draft, event)
    if attempt.worker != event.worker or (attempts.reported(attempt) and event.outcome != "succeeded"):
        return draft.decision(Answer.unchanged)
    if attempt.outcome == "succeeded" and job.phase in WAITING:
        return draft.decision(Answer.unchanged)  # it asked for children, and is told once more
    if job.phase in OVER:
        return _too_late(draft, event)
    if attempt.outcome not in {None, "lost"} and event.outcome != "succeeded":
        return _told_to_stop(draft, event)
    match event.outcome:
        case "succeeded":
            _succeeded(draft, event)
        case "refused":
            _refused(draft, event)
        case "failed":
            _failed(draft, event, event.reason or reason("task_failed"))
        case "cancelled":
            _cancelled(draft, event)
    return draft.decision()


def _close(draft: Draft, event: ResultReceived, outcome: attempts.Outcome, why: Reason | None) -> None:
    exit = event.exit or Exit()
    newer = attempts.closed(draft.job, outcome, draft.time, reason=why, exit=exit, checkpoint=event.checkpoint)
    draft.set(attempts=newer, checkpoint=event.checkpoint or draft.job.checkpoint)


def _succeeded(draft: Draft, event: ResultReceived) -> None:
    """In `cancelling` children are asked for in vain: the parent's end is theirs."""
    if event.children:
        if (why := asking.refused(draft, event.children)) is not None:
            _failed(draft, event, why)
            return
        if draft.job.phase is Phase.cancelling:
            _cancelled(draft, event)
            return
        _close(draft, event, "succeeded", None)
        asking.ask(draft, event.children)
        return
    _close(draft, event, "succeeded", None)
    if draft.job.children:
        asking.forget(draft)
    attempt = draft.job.attempts[-1]
    summary = small(event.summary, draft.policy.max_summary)
    draft.set(
        result=Result(attempt=attempt.number, fence=attempt.fence, manifest=event.manifest, summary=summary),
        started_at=draft.job.started_at or attempt.started_at or attempt.assigned_at,
    )
    ending.end(draft, State.completed)


def _failed(draft: Draft, event: ResultReceived, why: Reason) -> None:
    cancelling = draft.job.phase is Phase.cancelling
    _close(draft, event, "failed", why)
    if cancelling:
        ending.end(draft, State.cancelled, draft.job.reason)
    else:
        ending.retry_or_end(draft, why)


def _cancelled(draft: Draft, event: ResultReceived) -> None:
    """The worker stopped it: because it was told to, or to make room, which is nobody's failure."""
    if draft.job.phase is Phase.cancelling:
        _close(draft, event, "cancelled", draft.job.reason)
        ending.end(draft, State.cancelled, draft.job.reason)
        return
    told = event.reason is None or event.reason.code == "cancelled"
    why = reason("preempted") if told or event.reason is None else event.reason
    _close(draft, event, "cancelled", why)
    ending.retry_or_end(draft, why)


def _refused(draft: Draft, event: ResultReceived) -> None:
    """The worker never started it. Once it was heard running, a refusal is that of a second copy of the command."""
    if draft.job.phase is Phase.cancelling:
        _close(draft, event, "refused", event.reason)
        ending.end(draft, State.cancelled, draft.job.reason)
    elif draft.job.phase is Phase.assigned or (
        draft.job.phase in WAITING
        and draft.job.attempts[-1].outcome == "lost"
        and not draft.job.attempts[-1].started_at
    ):
        _close(draft, event, "refused", event.reason)
        ending.requeue(draft, event.reason or reason("no_slot"), type="refused")


def _told_to_stop(draft: Draft, event: ResultReceived) -> Decision:
    """Orion had given this attempt up and told its worker so: how it ended is kept, what follows was decided."""
    attempt = draft.job.attempts[-1]
    exit = event.exit or Exit()
    outcome = attempt.outcome or "failed"
    newer = attempts.closed(
        draft.job, outcome, draft.time, reason=attempt.reason, exit=exit, checkpoint=event.checkpoint
    )
    draft.set(attempts=newer, checkpoint=event.checkpoint or draft.job.checkpoint)
    return draft.decision()


def _too_late(draft: Draft, event: ResultReceived) -> Decision:
    """The job had ended without this result (a cancel ran out of time): recorded, and without effect."""
    if attempts.reported(draft.job.attempts[-1]):
        return draft.decision(Answer.unchanged)
    return _nobodys(draft, event)


def _nobodys(draft: Draft, event: ResultReceived) -> Decision:
    """A result that changes nothing any more. Its worker uploaded before it told, perhaps long after the job was
    cleaned (an object storage that was away is waited for): then that has to go, too."""
    if draft.job.phase in OVER and event.outcome != "refused" and not draft.pending(JobClean):
        draft.command(JobClean)
    return superseded(draft, event.fence, event.name)


def small(summary: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """The summary if it fits into `limit` bytes of JSON, else its entries that do, smallest first."""
    if len(json.dumps(summary, default=str)) <= limit:
        return summary
    kept: dict[str, Any] = {"shortened": True}
    size = 32
    for size_of_entry, key in sorted((len(json.dumps({k: v}, default=str)), k) for k, v in summary.items()):
        size += size_of_entry
        if size > limit:
            break
        kept[key] = summary[key]
    return kept
