"""`/v1/jobs`: a job with its attempts and its life, its whole result, and what it measured."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from studio9_baile.jobs.telling import estimate
from studio9_baile.models.jobs import ProcessStatus, ResultState
from studio9_baile.usecases import jobs, processes
from studio9_baile.usecases.jobs import KnownJob
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_common.contracts.job import Attempt, Event, Phase, State
from studio9_common.contracts.reasons import Reason

routes = router(prefix="/jobs", tag="jobs")


class ReasonAnswer(BaseModel):
    """Why an attempt or a job ended, and what to do about it."""

    reason_class: str
    code: str
    message: str

    @classmethod
    def of(cls, reason: Reason) -> "ReasonAnswer":
        return cls(reason_class=reason.class_.value, code=reason.code, message=reason.message)


class AttemptAnswer(BaseModel):
    """One run of the job on one worker."""

    number: int
    worker: str
    assigned_at: str
    started_at: str | None = None
    ended_at: str | None = None
    outcome: str | None = None
    reason: ReasonAnswer | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    log_tail: tuple[str, ...] = ()

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptAnswer":
        end = attempt.exit
        return cls(
            number=attempt.number,
            worker=attempt.worker,
            assigned_at=attempt.assigned_at,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            outcome=attempt.outcome,
            reason=ReasonAnswer.of(attempt.reason) if attempt.reason else None,
            exit_code=end.code if end else None,
            signal=end.signal if end else None,
            peak_memory=end.peak_memory if end else None,
            log_tail=end.log_tail if end else (),
        )


class LifeEvent(BaseModel):
    """A step in the life of the job; `count` > 1 where the same happened again."""

    n: int
    time: str
    type: str
    phase: Phase
    state: State
    attempt: int | None = None
    reason: ReasonAnswer | None = None
    detail: str = ""
    count: int = 1

    @classmethod
    def of(cls, event: Event) -> "LifeEvent":
        return cls(
            n=event.n,
            time=event.time,
            type=event.type,
            phase=event.phase,
            state=event.state,
            attempt=event.attempt,
            reason=ReasonAnswer.of(event.reason) if event.reason else None,
            detail=event.detail,
            count=event.count,
        )


class JobAnswer(BaseModel):
    """A job. `status` is what its owner sees: completed once the result is in the assets. `state` and `phase` are the
    job's own, absent until Orion has accepted it. `waiting` says why it has no slot yet, `held_by` what must be
    done before it can have one. Times are RFC 3339, durations
    seconds."""

    id: str
    kind: str
    owner: str
    target: str
    target_id: str
    job_type: str
    status: ProcessStatus
    state: State | None = None
    phase: Phase | None = None
    waiting: str | None = None
    held_by: ReasonAnswer | None = None
    progress: float
    estimate: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    metrics: dict[str, Any] | None = None
    metrics_epoch: int | None = None
    reason: ReasonAnswer | None = None
    cause: str | None = None
    result: ResultState
    summary: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    attempts: list[AttemptAnswer] = []
    events: list[LifeEvent] = []

    @classmethod
    def of(cls, known: KnownJob) -> "JobAnswer":
        process, job, ended = known.process, known.job, known.ended
        reason = ended.reason if ended else job.reason if job else None
        return cls(
            id=process.id,
            kind=process.kind,
            owner=process.owner,
            target=process.target,
            target_id=process.target_id,
            job_type=process.job_type,
            status=process.status,
            state=job.state if job else None,
            phase=job.phase if job else None,
            waiting=known.waiting or None,
            held_by=ReasonAnswer.of(known.held_by) if known.held_by else None,
            progress=process.progress,
            estimate=estimate(process),
            epoch=process.epoch,
            epochs=process.epochs,
            metrics=process.metrics,
            metrics_epoch=process.metrics_epoch,
            reason=ReasonAnswer.of(reason) if reason else None,
            cause=process.cause,
            result=process.result_state,
            summary=dict(ended.summary) if ended else None,
            outputs=process.outputs,
            created_at=process.created_at,
            started_at=process.started_at,
            ended_at=process.ended_at,
            cancel_requested_at=process.cancel_requested_at,
            attempts=[AttemptAnswer.of(attempt) for attempt in job.attempts] if job else [],
            events=[LifeEvent.of(event) for event in job.events] if job else [],
        )


class Metric(BaseModel):
    """A measured value."""

    key: str | None
    step: int | None = None
    split: str | None = None
    value: float | None
    time: str


@routes.get("/{job_id}", response_model_exclude_none=True)
async def get(job_id: str, core: TheCore, caller: TheCaller) -> JobAnswer:
    return JobAnswer.of(await jobs.get_job(core, caller, job_id))


@routes.post("/{job_id}/cancel", status_code=204)
async def cancel(job_id: str, core: TheCore, caller: TheCaller) -> None:
    """Asks for the job's end, and that of its children. It has ended when its status says so."""
    await processes.cancel(core, caller, job_id)


@routes.get("/{job_id}/result")
async def result(job_id: str, core: TheCore, caller: TheCaller) -> dict[str, Any]:
    """The task's own result, as its contract describes it."""
    return (await jobs.get_result(core, caller, job_id)).model_dump(mode="json")


@routes.get("/{job_id}/metrics")
async def metrics(job_id: str, core: TheCore, caller: TheCaller) -> list[Metric]:
    """Every value that the job measured, by time."""
    found = await jobs.get_metrics(core, caller, job_id)
    return [Metric(key=item.key, step=item.step, split=item.split, value=item.value, time=item.time) for item in found]
