"""An attempt from its assignment to the last beat."""

from studio9_common.contracts.checkpoints import is_older
from studio9_common.contracts.job import Attempt, Phase
from studio9_common.contracts.messages import JobStarted, WorkerRun
from studio9_common.contracts.reasons import reason
from studio9_orion.core import attempts, ending
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import Assigned, Beat, Unroutable
from studio9_orion.core.life import OVER, WAITING


def assigned(draft: Draft, event: Assigned) -> Decision:
    """The next attempt. Only here the fence grows; from now on the one before changes nothing any more."""
    job = draft.job
    early = job.not_before is not None and job.not_before > draft.time
    if job.phase is not Phase.queued or early:
        return draft.decision(Answer.unchanged)
    newer = attempts.opened(job, worker=event.worker, provider=event.provider, time=draft.time)
    draft.set(attempts=newer, fence=newer[-1].fence, not_before=None)
    draft.record("assigned", attempt=newer[-1].number, detail=event.worker)
    draft.wait(starting=draft.policy.assigned_s)
    draft.watch_parent()
    draft.command(WorkerRun, {"worker": event.worker, "fence": newer[-1].fence, "epoch": event.epoch})
    return draft.decision()


def unroutable(draft: Draft, event: Unroutable) -> Decision:
    """The worker's queue is gone. If the attempt was heard in spite of that, an earlier copy had reached it."""
    if event.fence != draft.job.fence or draft.job.phase is not Phase.assigned:
        return draft.decision(Answer.unchanged)
    ending.requeue(draft, reason("unroutable"), type="unroutable")
    return draft.decision()


def beat(draft: Draft, event: Beat) -> Decision:
    """A sign of life: moves the phase forwards only, and brings an attempt back that was given up too early."""
    job = draft.job
    if event.fence != job.fence:
        return superseded(draft, event.fence, event.name)
    attempt = attempts.current(job)
    if attempt is None or attempt.worker != event.worker or job.phase in OVER:
        return draft.decision(Answer.unchanged)
    if job.phase in WAITING:
        if attempt.outcome != "lost":
            return draft.decision(Answer.unchanged)
        _return(draft, event)
    elif event.phase == "staging":
        if job.phase is Phase.assigned:
            _move(draft, Phase.starting)
    elif job.phase in {Phase.assigned, Phase.starting}:
        _move(draft, Phase.running)
    keep_checkpoint(draft, event)
    return draft.decision()


def keep_checkpoint(draft: Draft, event: Beat) -> None:
    """The newest announced checkpoint is what the next attempt resumes from. Beats come late and twice: an older one
    is no news, and its checkpoint may be deleted already."""
    attempt = draft.job.attempts[-1]
    if event.checkpoint is None or event.checkpoint == attempt.checkpoint:
        return
    if attempt.checkpoint is None or not is_older(event.checkpoint.key, attempt.checkpoint.key):
        draft.set(attempts=attempts.changed(draft.job, checkpoint=event.checkpoint), checkpoint=event.checkpoint)


def superseded(draft: Draft, fence: int, what: str) -> Decision:
    """A message of an attempt that no longer counts is recorded once per fence."""
    detail = f"fence {fence}"
    if not any(known.type == "superseded" and known.detail.startswith(f"{detail}:") for known in draft.job.events):
        draft.record("superseded", detail=f"{detail}: {what}")
    return draft.decision(Answer.superseded)


def _move(draft: Draft, phase: Phase) -> None:
    draft.record(phase.value, phase=phase, attempt=draft.job.attempts[-1].number)
    _supervise(draft, phase)


def _return(draft: Draft, event: Beat) -> None:
    phase = Phase.starting if event.phase == "staging" else Phase.running
    draft.set(attempts=attempts.reopened(draft.job), not_before=None)
    draft.record("returned", phase=phase, attempt=draft.job.attempts[-1].number)
    _supervise(draft, phase)


def _supervise(draft: Draft, phase: Phase) -> None:
    draft.wait(silent=draft.policy.lease_s)
    draft.watch_parent()
    if phase is Phase.starting:
        draft.wait(starting=draft.policy.starting(draft.job.spec))
        return
    attempt: Attempt = draft.job.attempts[-1]
    draft.set(
        attempts=attempts.changed(draft.job, started_at=attempt.started_at or draft.time),
        started_at=draft.job.started_at or draft.time,
    )
    draft.wait(running=draft.job.spec.max_run_s + draft.policy.overrun_s)
    draft.command(JobStarted, {"attempt": attempt.number, "worker": attempt.worker})
