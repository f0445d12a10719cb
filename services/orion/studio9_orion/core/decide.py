"""The whole core as one function."""

from collections.abc import Iterable
from datetime import datetime

from studio9_common.contracts.job import Job, Spec
from studio9_common.times import format_time
from studio9_orion.core import cancelling, intake, outputs, related, resulting, running, ticking
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    ChildEnded,
    Cleaned,
    CoreEvent,
    DeadLettered,
    Emptied,
    OutputReported,
    PriorityChanged,
    RelatedSeen,
    Requested,
    ResultReceived,
    Tick,
    Unroutable,
)
from studio9_orion.core.policy import Policy


def decide(job: Job | None, event: CoreEvent, now: datetime, policy: Policy) -> Decision:
    """What an event does to a job (None: not known yet) at a time. Never raises for a well-formed event."""
    if job is None:
        return _unknown(event, now, policy)
    draft = Draft(job, now, policy)
    match event:
        case Requested():
            return intake.requested_again(draft, event)
        case CancelRequested():
            return cancelling.cancel_requested(draft, event)
        case PriorityChanged():
            return intake.priority_changed(draft, event)
        case RelatedSeen():
            return related.related_seen(draft, event)
        case ChildEnded():
            return related.child_ended(draft, event)
        case Assigned():
            return running.assigned(draft, event)
        case Unroutable():
            return running.unroutable(draft, event)
        case Beat():
            return running.beat(draft, event)
        case ResultReceived():
            return resulting.result_received(draft, event)
        case OutputReported():
            return outputs.output_reported(draft, event)
        case Tick():
            return ticking.tick(draft, event)
        case Cleaned():
            return outputs.cleaned(draft, event)
        case Emptied():
            return outputs.child_emptied(draft, event)
        case DeadLettered():
            draft.record("dead_letter", detail=f"{event.type}: {event.why}")
            return draft.decision()


def decide_all(job: Job | None, events: Iterable[CoreEvent], now: datetime, policy: Policy) -> list[Decision]:
    """One decision per event, each on what the one before left."""
    decisions: list[Decision] = []
    for event in events:
        decisions.append(decide(job, event, now, policy))
        job = decisions[-1].job
    return decisions


def _unknown(event: CoreEvent, now: datetime, policy: Policy) -> Decision:
    time = format_time(now)
    if isinstance(event, Requested):
        job = Job(
            id=event.job,
            organisation=event.organisation,
            project=event.project,
            owner=event.owner,
            spec=event.spec,
            request_hash=event.request_hash,
            priority=event.priority,
            priority_class=event.priority_class,
            parent=event.parent,
            depends_on=event.depends_on,
            retried_from=event.retried_from,
            context=event.context,
            traceparent=event.traceparent,
            checkpoint=event.checkpoint,
            created_at=time,
            updated_at=time,
        )
        return intake.create(Draft(job, now, policy, fresh=True), event)
    if isinstance(event, CancelRequested):
        job = Job(
            id=event.job,
            organisation=event.organisation,
            owner=event.requested_by,
            spec=Spec(kind=intake.UNSEEN),
            request_hash="",
            created_at=time,
            updated_at=time,
        )
        return intake.create_cancelled(Draft(job, now, policy, fresh=True), event)
    return Decision(None, answer=Answer.unknown)
