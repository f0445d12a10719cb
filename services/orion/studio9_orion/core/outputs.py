"""What the warehouse says of a job's outputs, and the end of cleaning, and of what a child has left."""

from studio9_common.contracts.job import OUTPUT_ORDER, Output, Phase, State
from studio9_orion.core import ending
from studio9_orion.core.asking import asked_for
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import Cleaned, Emptied, OutputReported
from studio9_orion.core.keeping import EMPTIED, emptied
from studio9_orion.core.life import OVER


def output_reported(draft: Draft, event: OutputReported) -> Decision:
    """Recorded unless it is older news than what is known; `loaded` is final. When all have ended, cleaning begins."""
    job = draft.job
    if job.organisation != event.organisation:
        return draft.decision(Answer.foreign)
    manifest = job.result.manifest if job.result else None
    other = bool(event.manifest_sha256) and manifest is not None and manifest.sha256 != event.manifest_sha256
    known = job.outputs.get(event.output)
    if known is None:
        news = True
    elif known.state == event.state:
        news = known.state != "loaded" and known.rows != event.rows
    else:
        news = OUTPUT_ORDER[event.state] > OUTPUT_ORDER[known.state]
    if job.state is not State.completed or other or not news:
        return draft.decision(Answer.unchanged)
    output = Output(state=event.state, rows=event.rows, message=event.message[:500], time=draft.time)
    draft.set(outputs={**job.outputs, event.output: output})
    draft.record(f"output_{event.state}", detail=f"{event.output}: {event.message or event.rows}")
    if waits_for_outputs(draft) and all(item.state != "loading" for item in draft.job.outputs.values()):
        ending.clean(draft)
    return draft.decision()


def waits_for_outputs(draft: Draft) -> bool:
    """Whether cleaning has not been ordered yet because the warehouse still loads."""
    return draft.job.phase is Phase.cleaning and "outputs_end" in draft.job.deadlines


def cleaned(draft: Draft, event: Cleaned) -> Decision:
    """The last step of a job; also orders that come again end here, and those that never left the outbox."""
    ending.drop_cleaning(draft, event.n)
    if draft.job.phase is not Phase.cleaning or waits_for_outputs(draft):
        return draft.decision()
    if draft.job.parent not in (None, event.parent):  # its request came after its cancel, and after the cleaner looked
        return draft.decision()
    draft.record("cleaned")
    return draft.decision()


def child_emptied(draft: Draft, event: Emptied) -> Decision:
    """Noted once, where the job is one that its parent's task has asked for; nothing can go on from it any more."""
    job = draft.job
    if job.phase not in OVER or not asked_for(job) or emptied(job):
        return draft.decision(Answer.unchanged)
    draft.set(checkpoint=None)
    draft.record(EMPTIED, detail=f"its parent {event.parent_state}")
    return draft.decision()
