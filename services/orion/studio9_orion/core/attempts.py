"""The attempts of a job: opening, closing, and how many retries they have used up."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from studio9_common.contracts.job import Attempt, Exit, Job, ObjectRef
from studio9_common.contracts.reasons import Reason, ReasonClass, retries_of

MAX_ATTEMPTS = 16
"""Attempts kept in a document; beyond it the oldest of those that spent no retry are left out."""
_LOG_LINES, _LOG_BYTES = 200, 8 * 1024

Outcome = Literal["succeeded", "failed", "cancelled", "lost", "refused"]


def current(job: Job) -> Attempt | None:
    """The attempt of the job's fence, open or ended."""
    last = job.attempts[-1] if job.attempts else None
    return last if last is not None and last.fence == job.fence else None


def is_open(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.ended_at is None


def reported(attempt: Attempt | None) -> bool:
    """Whether the worker's result of this attempt is recorded (`exit` is set by nothing else)."""
    return attempt is not None and attempt.exit is not None


def opened(job: Job, *, worker: str, provider: str, time: str) -> tuple[Attempt, ...]:
    """The attempts with a new one, its fence one higher. A refused attempt is replaced: it never was one. Only the
    last attempt keeps its log."""
    earlier = [_without_log(attempt) for attempt in job.attempts if attempt.outcome != "refused"]
    number = earlier[-1].number + 1 if earlier else 1
    while len(earlier) >= MAX_ATTEMPTS:
        over = len(earlier) - len(_since_success(earlier))
        free = next((i for i, attempt in enumerate(earlier) if i < over - 1 or not _spends(attempt)), 0)
        del earlier[free]
    return (*earlier, Attempt(number=number, fence=job.fence + 1, provider=provider, worker=worker, assigned_at=time))


def closed(
    job: Job,
    outcome: Outcome,
    time: str,
    *,
    reason: Reason | None = None,
    exit: Exit | None = None,
    checkpoint: ObjectRef | None = None,
) -> tuple[Attempt, ...]:
    """The attempts with the last one ended."""
    last = job.attempts[-1]
    ended = replace(
        last,
        ended_at=last.ended_at if last.ended_at and last.outcome == outcome else time,
        outcome=outcome,
        reason=reason,
        exit=trimmed(exit) if exit is not None else last.exit,
        checkpoint=checkpoint or last.checkpoint,
    )
    return (*job.attempts[:-1], ended)


def reopened(job: Job) -> tuple[Attempt, ...]:
    """The attempts with the last one, declared lost, running again."""
    return (*job.attempts[:-1], replace(job.attempts[-1], ended_at=None, outcome=None, reason=None))


def changed(job: Job, *, started_at: str | None = None, checkpoint: ObjectRef | None = None) -> tuple[Attempt, ...]:
    """The attempts with the last one's start or checkpoint set."""
    last = job.attempts[-1]
    newer = replace(last, started_at=started_at or last.started_at, checkpoint=checkpoint or last.checkpoint)
    return (*job.attempts[:-1], newer)


def spent(job: Job, class_: ReasonClass) -> int:
    """Retries used up by failures of a class: what counts is derived from the attempts, never from a counter. A task
    that has asked for children has got on: what its job lost before counts no more."""
    return sum(
        1
        for attempt in _since_success(job.attempts)
        if _spends(attempt) and attempt.reason and attempt.reason.class_ is class_
    )


def lost_workers(job: Job) -> frozenset[str]:
    """The workers that fell silent with this job."""
    return frozenset(
        attempt.worker
        for attempt in _since_success(job.attempts)
        if attempt.outcome in {"lost", "failed"} and attempt.reason is not None and attempt.reason.code == "worker_lost"
    )


def trimmed(exit: Exit) -> Exit:
    """The exit with at most the last 200 lines and 8 KiB of its log."""
    kept: list[str] = []
    size = 0
    for line in reversed(exit.log_tail[-_LOG_LINES:]):
        size += len(line.encode()) + 1
        if size > _LOG_BYTES:
            break
        kept.append(line)
    return exit if len(kept) == len(exit.log_tail) else replace(exit, log_tail=tuple(reversed(kept)))


def _since_success(several: Sequence[Attempt]) -> Sequence[Attempt]:
    """The attempts after the last that succeeded; all where none has."""
    last = max((place for place, one in enumerate(several) if one.outcome == "succeeded"), default=-1)
    return several[last + 1 :]


def _spends(attempt: Attempt) -> bool:
    return (
        attempt.outcome in {"failed", "lost", "cancelled"}
        and attempt.reason is not None
        and retries_of(attempt.reason) is not None
    )


def _without_log(attempt: Attempt) -> Attempt:
    if attempt.exit is None or not attempt.exit.log_tail:
        return attempt
    return replace(attempt, exit=replace(attempt.exit, log_tail=()))
