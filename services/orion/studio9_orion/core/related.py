"""Parents, children and dependencies (invariant 11).

A child ends with its parent, however that ends. What a child's failure or cancel means for its parent is the parent's
own rule (`Spec.child_failure`): it goes on, or it fails with it, and its other children with it.
"""

from studio9_common.contracts.job import TERMINAL, Phase, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import asking, ending, intake
from studio9_orion.core.cancelling import cancel
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import ChildEnded, RelatedSeen
from studio9_orion.core.life import HELD, OVER

UNKNOWN = "dependency_unknown"
CHILDREN_NAMED = 50
"""Ended children that a parent's history names; a job with more has its results to tell of them."""


def related_seen(draft: Draft, event: RelatedSeen) -> Decision:
    """A child ends with its parent; a job whose dependency did not complete fails; one whose dependencies have all
    completed is queued. An id that nobody knows (yet) is waited for, as long as the queue limit allows."""
    job = draft.job
    if job.phase in OVER:
        return draft.decision(Answer.unchanged)
    parent = event.states.get(job.parent) if job.parent else None
    if parent in TERMINAL:
        cancel(draft, reason("parent_ended"))
        return draft.decision()
    if job.phase is not Phase.submitted:
        asking.request_again(draft, [name for name, state in event.states.items() if state is None])
        return draft.decision()
    states = [event.states.get(name) for name in job.depends_on]
    if any(state in {State.failed, State.cancelled} for state in states):
        ending.end(draft, State.failed, reason("dependency_failed"))
    elif all(state is State.completed for state in states):
        intake.enqueue(draft)
    else:
        _tell_unknown(draft, [name for name, state in zip(job.depends_on, states, strict=True) if state is None])
    return draft.decision()


def _tell_unknown(draft: Draft, names: list[str]) -> None:
    """Says once what a job waits for in vain, unless it has only just come: a request may overtake another."""
    if not names or draft.job.created_at > draft.at(-draft.policy.related_s):
        return
    if not any(known.type == UNKNOWN for known in draft.job.events):
        draft.record(UNKNOWN, detail=", ".join(names))


def child_ended(draft: Draft, event: ChildEnded) -> Decision:
    """A child that did not complete ends its parent where the parent's rule says so; else it is noted, once. What a
    task has asked for lets the parent go on with its last child's end, however that was."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    if job.phase in OVER:
        return draft.decision(Answer.unchanged)
    if event.state not in {State.failed, State.cancelled}:
        asking.ended(draft, event)
        return draft.decision()
    if job.spec.child_failure == "fail" and job.phase is not Phase.cancelling:
        if job.phase in HELD:
            ending.stop_worker(draft)
        ending.end(
            draft, State.failed, reason("child_failed", f"Job {event.child}, a part of this one, {event.state}.")
        )
        return draft.decision()
    named = [one.detail for one in job.events if one.type == "child_ended"]
    if len(named) < CHILDREN_NAMED and not any(detail.startswith(event.child) for detail in named):
        draft.record("child_ended", detail=f"{event.child}: {event.state}")
    asking.ended(draft, event)
    return draft.decision()
