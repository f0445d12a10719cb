"""A job comes into being: requested, or cancelled before its request arrived."""

import json

from pydantic import TypeAdapter

from studio9_common.contracts.job import Job, Phase, Spec, State
from studio9_common.contracts.messages import JobAccepted, JobQueued
from studio9_common.contracts.reasons import Reason, reason
from studio9_common.contracts.sources import check_inputs
from studio9_common.errors import BadInput
from studio9_orion.core import ending
from studio9_orion.core.decision import Answer, CheckRelated, Decision, Reply
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import CancelRequested, PriorityChanged, Requested
from studio9_orion.core.life import OVER
from studio9_orion.core.replies import reply

_SPEC: TypeAdapter[Spec] = TypeAdapter(Spec)
UNSEEN = "unseen"
"""The kind of a job that was cancelled before its request arrived."""


def create(draft: Draft, event: Requested) -> Decision:
    """A new job: queued, or submitted while it depends on others. That it is accepted, and that it waits, is no part of
    its outbox: until it is told, whoever has asked asks again."""
    draft.record("requested")
    draft.effects.append(Reply(reply(draft, JobAccepted)))
    problem = _problem(draft.job, draft.policy.max_request)
    if problem is not None:
        _shorten(draft)
        ending.end(draft, State.failed, problem)
    elif event.parent or event.depends_on:
        draft.wait(related=draft.policy.related_s, queued=ending.queue_limit(draft))
        draft.effects.append(CheckRelated())
    else:
        _wait_for_slot(draft)
        draft.effects.append(Reply(reply(draft, JobQueued, {"attempt": 0})))
    return draft.decision()


def enqueue(draft: Draft) -> None:
    """Nothing holds the job back any more: it waits for a slot, and everybody is told."""
    _wait_for_slot(draft)
    draft.command(JobQueued, {"attempt": len(draft.job.attempts)})


def _wait_for_slot(draft: Draft) -> None:
    queued = draft.job.deadlines.get("queued") if draft.job.phase is Phase.submitted else None
    draft.record("queued", reason=draft.job.reason)
    draft.set(queued_at=draft.job.queued_at or draft.time, not_before=None)
    draft.until(queued=queued or draft.at(ending.queue_limit(draft)))
    draft.watch_parent()


def create_cancelled(draft: Draft, event: CancelRequested) -> Decision:
    """A cancel came first: the job exists from now on, as cancelled, and its request will change nothing."""
    why = reason("cancelled", f"Cancelled by {event.requested_by} before its request arrived."[:200])
    draft.set(cancel_requested_at=draft.time)
    ending.end(draft, State.cancelled, why, type="cancelled_unseen")
    return draft.decision()


def requested_again(draft: Draft, event: Requested) -> Decision:
    """The same request once more is answered; the request of a job that was cancelled unseen completes its record."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    if job.spec.kind == UNSEEN and not job.request_hash:
        draft.set(
            owner=event.owner,
            project=event.project,
            spec=event.spec,
            request_hash=event.request_hash,
            priority=event.priority,
            priority_class=event.priority_class,
            parent=event.parent,
            retried_from=event.retried_from,
            context=event.context,
            traceparent=event.traceparent,
        )
        if _problem(draft.job, draft.policy.max_request) is not None:
            _shorten(draft)
        draft.record("described")
        draft.command(JobAccepted)
        draft.command(ending.ENDED[job.state])
        return draft.decision()
    if job.request_hash != event.request_hash:
        if not any(known.type == "conflicting_request" for known in job.events):
            draft.record("conflicting_request", detail=event.request_hash)
        return draft.decision(Answer.conflict)
    draft.effects.append(Reply(reply(draft, JobAccepted)))
    return draft.decision(Answer.unchanged)


def priority_changed(draft: Draft, event: PriorityChanged) -> Decision:
    """Counts from the next pass of the scheduler on, also for an attempt that may still have to be made again."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    if job.phase in OVER:
        return draft.decision(Answer.too_late)
    if job.priority == event.priority:
        return draft.decision(Answer.unchanged)
    draft.set(priority=event.priority)
    draft.record("priority_changed", detail=f"{job.priority} → {event.priority} by {event.requested_by}")
    if job.phase is Phase.queued:
        draft.command(JobQueued, {"attempt": len(job.attempts)})
    return draft.decision()


def _shorten(draft: Draft) -> None:
    """A request that cannot be run is kept without what makes it large."""
    spec, context = draft.job.spec, draft.job.context
    small = Spec(kind=spec.kind[:64], framework=spec.framework[:64], max_run_s=spec.max_run_s)
    draft.set(spec=small, context=context if len(_json(context)) < 4_096 else {}, depends_on=())


def _problem(job: Job, limit: int) -> Reason | None:
    size = len(_SPEC.dump_json(job.spec)) + len(_json(job.context))
    if size > limit:
        return reason("bad_input", f"spec and context are {size} bytes, over {limit}; put lists into objects.")
    try:
        check_inputs(job.spec)
    except BadInput as error:
        return reason("bad_input", f"{error.field}: {error.message}: {error.fix}.")
    if job.id in job.depends_on or job.id == job.parent:
        return reason("bad_input", "depends_on: a job cannot depend on itself.")
    if len(job.depends_on) > 100:
        return reason("bad_input", "depends_on: at most 100 jobs.")
    return None


def _json(value: object) -> bytes:
    return json.dumps(value, default=str).encode()
