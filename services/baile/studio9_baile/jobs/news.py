"""What is heard about a job, in any order and any number of times, and what it does to its process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_common.contracts.job import TERMINAL, Job, ObjectRef, Result, State
from studio9_common.contracts.messages import JobAccepted, JobEnded, JobEvent, JobProgress, JobQueued, JobStarted
from studio9_common.contracts.reasons import Reason
from studio9_common.times import parse_time

_RANKS = {State.submitted: 0, State.queued: 1, State.running: 2}
"""Which of two pieces of news with the same time is the later one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    state: State
    attempt: int
    fence: int
    reason: Reason | None = None
    manifest: ObjectRef | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    queued_s: float = 0.0
    """Seconds from its creation to its (last) start."""
    total_s: float = 0.0


ENDED: TypeAdapter[Ended] = TypeAdapter(Ended)


@dataclass(frozen=True, slots=True)
class News:
    """A job's state at a time of Orion's. `attempt` None: not known."""

    time: str
    state: State
    attempt: int | None = None
    started_at: str | None = None
    ended_at: str | None = None
    ended: Ended | None = None


def of_message(data: JobEvent) -> News | None:
    """The news in a message; None for what says nothing about the state."""
    match data:
        case JobEnded():
            ended = Ended(
                state=data.state,
                attempt=data.attempt,
                fence=data.fence,
                reason=data.reason,
                manifest=data.manifest,
                summary=data.summary,
                **_durations(data.created_at, data.started_at, data.ended_at),
            )
            return News(data.ended_at, data.state, data.attempt, data.started_at, data.ended_at, ended)
        case JobAccepted():
            # The answer to a request that came again tells the state of now, not that of the beginning.
            return News(data.time, data.state) if data.state not in TERMINAL else None
        case JobQueued():
            return News(data.time, State.queued, data.attempt)
        case JobStarted():
            return News(data.time, State.running, data.attempt, data.time)
        case _:
            return None


def of_job(job: Job) -> News:
    """The news in a job's document."""
    attempt = job.attempts[-1].number if job.attempts else 0
    if job.state not in TERMINAL:
        return News(job.updated_at, job.state, attempt, job.started_at)
    result = job.result or Result(attempt=attempt, fence=job.fence)
    ended_at = job.ended_at or job.updated_at
    ended = Ended(
        state=job.state,
        attempt=attempt,
        fence=job.fence,
        reason=job.reason,
        manifest=result.manifest,
        summary=result.summary,
        **_durations(job.created_at, job.started_at, ended_at),
    )
    return News(ended_at, job.state, attempt, job.started_at, ended_at, ended)


def _durations(created: str, started: str | None, ended: str) -> dict[str, float]:
    begin, end = parse_time(created), parse_time(ended)
    start = parse_time(started) if started else end
    return {
        "queued_s": max(0.0, (start - begin).total_seconds()),
        "total_s": max(0.0, (end - begin).total_seconds()),
    }


def apply(process: Process, news: News) -> bool:
    """Whether the process changed. Whatever the order and however often the same is heard, the row ends the same: the
    status is that of the newest news, attempts only grow, the first start counts, and the end is final."""
    if process.ended is not None:
        return False
    process.attempt = max(process.attempt, news.attempt or 0)
    if news.ended is not None:
        process.ended = ENDED.dump_python(news.ended, mode="json")
        process.result_state = ResultState.pending
        process.started_at = parse_time(news.started_at) if news.started_at else None
        process.ended_at = parse_time(news.ended_at) if news.ended_at else None
        process.remaining_s = None
        process.seen_at = _mark(news.time, news.state)
        return True
    started = _started(process, news.started_at)
    moved = _move(process, news.time, news.state)
    return started or moved


def apply_progress(process: Process, data: JobProgress) -> bool:
    """Whether the process changed. What comes after the end, or after newer progress, is ignored."""
    if process.ended is not None:
        return False
    process.attempt = max(process.attempt, data.attempt)
    started = _started(process, data.time)
    moved = _move(process, data.time, State.running)
    if process.progress_seen_at is not None and data.time <= process.progress_seen_at:
        return started or moved
    process.progress_seen_at = data.time
    # The last part is bringing the result into the assets.
    process.progress = min(data.progress, 0.99)
    process.remaining_s = data.remaining_s
    process.epoch, process.epochs = data.epoch, data.epochs
    if data.metrics:
        process.metrics, process.metrics_epoch = dict(data.metrics), data.metrics_step
    return True


def _move(process: Process, time: str, state: State) -> bool:
    """Takes the status of news that are newer than all before; whether they were."""
    mark = _mark(time, state)
    if process.seen_at is not None and mark <= process.seen_at:
        return False
    process.seen_at = mark
    process.status = ProcessStatus.RUNNING if state is State.running else ProcessStatus.QUEUED
    return True


def _started(process: Process, time: str | None) -> bool:
    """Keeps the earliest start; whether this was it."""
    start = parse_time(time) if time else None
    if start is None or (process.started_at is not None and process.started_at <= start):
        return False
    process.started_at = start
    return True


def _mark(time: str, state: State) -> str:
    """Orion's times are text in time order; of two with the same one the later state wins."""
    return f"{time}|{_RANKS.get(state, 9)}"
