"""How an attempt or a job ends: another attempt with back-off, or a terminal state and then cleaning."""

from typing import Any

from studio9_common.contracts.job import Output, Phase, State
from studio9_common.contracts.messages import (
    JobCancelled,
    JobClean,
    JobCompleted,
    JobEnded,
    JobFailed,
    JobQueued,
    WorkerCancel,
    WorkerRun,
)
from studio9_common.contracts.reasons import Reason, reason, retries_of
from studio9_common.times import parse_time
from studio9_orion.core import attempts
from studio9_orion.core.decision import TellRelated
from studio9_orion.core.draft import Draft

ENDED: dict[State, type[JobEnded]] = {
    State.completed: JobCompleted,
    State.failed: JobFailed,
    State.cancelled: JobCancelled,
}
LOADED_KINDS = frozenset({"predict"})
"""Kinds whose outputs go to the warehouse: cleaning waits until that has ended."""
DEFAULT_OUTPUT = "predictions"


def requeue(draft: Draft, why: Reason, *, type: str) -> None:
    """Back to its place in the queue without spending a retry, after a short wait so that a refusal cannot spin."""
    draft.set(attempts=attempts.closed(draft.job, "refused", draft.time, reason=why))
    drop_run(draft)
    draft.record(type, attempt=draft.job.attempts[-1].number, reason=why)
    draft.set(not_before=draft.at(draft.policy.refused_s))
    waited = _seconds_since(draft, draft.job.queued_at)
    draft.wait(queued=max(queue_limit(draft) - waited, draft.policy.lease_s))
    draft.watch_parent()
    draft.command(JobQueued, {"attempt": draft.job.attempts[-1].number})


def retry_or_end(draft: Draft, why: Reason, *, type: str = "attempt_failed") -> None:
    """After the current attempt was closed with `why`: back off and try again while its class allows, else fail."""
    limit = retries_of(why)
    used = attempts.spent(draft.job, why.class_)
    if len(attempts.lost_workers(draft.job)) > 1 and why.code == "worker_lost":
        end(draft, State.failed, reason("workers_lost"))
        return
    if limit is not None and used > limit:
        end(draft, State.failed, why)
        return
    drop_run(draft)
    number = draft.job.attempts[-1].number
    if limit is None:
        draft.record(type, phase=Phase.queued, attempt=number, reason=why)
        draft.set(not_before=None, queued_at=draft.time)
        draft.wait(queued=queue_limit(draft))
    else:
        pause = draft.policy.back_off(used)
        draft.record(type, phase=Phase.backing_off, attempt=number, reason=why)
        draft.set(not_before=draft.at(pause), queued_at=draft.time)
        draft.wait(back_off=pause)
    draft.watch_parent()
    draft.command(JobQueued, {"attempt": number})


def end(draft: Draft, state: State, why: Reason | None = None, *, type: str | None = None) -> None:
    """The terminal state, told to everybody, and the start of cleaning."""
    attempt = attempts.current(draft.job)
    if attempts.is_open(attempt):
        outcome: attempts.Outcome = "cancelled" if state is State.cancelled else "failed"
        draft.set(attempts=attempts.closed(draft.job, outcome, draft.time, reason=why))
    drop_run(draft)
    draft.record(type or state.value, attempt=attempt.number if attempt else None, reason=why)
    draft.set(ended_at=draft.time, not_before=None)
    draft.command(ENDED[state])
    draft.effects.append(TellRelated())
    if state is State.completed and draft.job.spec.kind in LOADED_KINDS and draft.job.result is not None:
        draft.wait(outputs=draft.policy.outputs_retry_s, outputs_end=draft.policy.outputs_s)
    else:
        clean(draft)


def clean(draft: Draft) -> None:
    """Orders the cleaning, to be ordered again until it is done."""
    draft.set(deadlines={})
    order_cleaning(draft)


def order_cleaning(draft: Draft) -> None:
    """A new order to the cleaner, unless one still waits to be sent; the next follows later and later."""
    if not draft.pending(JobClean):
        draft.command(JobClean)
    draft.wait(cleaning=_growing(draft, draft.policy.cleaning_s, draft.policy.cleaning_max_s))


def remind_of_outputs(draft: Draft) -> None:
    """Tells the warehouse again that there is something to load."""
    if not draft.pending(JobCompleted):
        draft.command(JobCompleted)
    draft.wait(outputs=_growing(draft, draft.policy.outputs_retry_s, draft.policy.outputs_retry_max_s))


def give_up_outputs(draft: Draft) -> None:
    """The warehouse has not ended in time: what is not loaded counts as failed, and cleaning goes on."""
    message = "The warehouse did not report an end in time; load the job's output again."
    failed = Output(state="failed", message=message, time=draft.time)
    open_ = [name for name, output in draft.job.outputs.items() if output.state == "loading"]
    for name in open_ or [DEFAULT_OUTPUT]:
        draft.set(outputs={**draft.job.outputs, name: failed})
        draft.record("output_failed", detail=f"{name}: overdue")
    clean(draft)


def stop_worker(draft: Draft) -> None:
    """Tells the current attempt's worker to stop it."""
    attempt = attempts.current(draft.job)
    if attempt is not None:
        data: dict[str, Any] = {"worker": attempt.worker, "fence": attempt.fence}
        draft.command(WorkerCancel, data)


def drop_run(draft: Draft) -> None:
    """An attempt that is over need not be started: its command leaves the outbox, if it is still there."""
    kept = tuple(command for command in draft.job.outbox if command.type != WorkerRun.type)
    if len(kept) != len(draft.job.outbox):
        draft.set(outbox=kept)


def drop_cleaning(draft: Draft, n: int) -> None:
    """Orders to the cleaner up to the n-th command are carried out: they leave the outbox unsent."""
    kept = tuple(command for command in draft.job.outbox if command.type != JobClean.type or command.n > n)
    if len(kept) != len(draft.job.outbox):
        draft.set(outbox=kept)


def queue_limit(draft: Draft) -> float:
    """Seconds that the job may wait for a slot."""
    own = draft.job.spec.queue_timeout_s
    return draft.policy.queue_s if own is None else own


def _growing(draft: Draft, least: float, most: float) -> float:
    """Waits that grow with the time since the end: each at least as long as everything before it."""
    return min(max(least, _seconds_since(draft, draft.job.ended_at)), most)


def _seconds_since(draft: Draft, time: str | None) -> float:
    return (draft.now - parse_time(time)).total_seconds() if time else 0.0
