"""Parents, children and dependencies (invariant 11)."""

from studio9_common.contracts.job import TERMINAL, Phase, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import ending, intake
from studio9_orion.core.cancelling import cancel
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import RelatedSeen
from studio9_orion.core.life import OVER


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
        return draft.decision(Answer.unchanged)
    states = [event.states.get(name) for name in job.depends_on]
    if any(state in {State.failed, State.cancelled} for state in states):
        ending.end(draft, State.failed, reason("dependency_failed"))
    elif all(state is State.completed for state in states):
        intake.enqueue(draft)
    return draft.decision()
