"""Processes."""

from studio9_baile.jobs.telling import estimate
from studio9_baile.models.jobs import Process, ProcessStatus
from studio9_baile.v2.wire.base import Answer, Moment

UNKNOWN = "The job failed without saying why; look at its log"
"""A cause that is absent would be shown as `undefined`."""


class ProcessAnswer(Answer):
    """`progress` is 0 to 1, `estimate` the whole seconds that are left."""

    id: str
    target: str
    targetId: str
    status: ProcessStatus
    progress: float
    estimate: int | None = None
    created: Moment
    started: Moment | None = None
    completed: Moment | None = None
    cause: str | None = None
    jobType: str

    @classmethod
    def of(cls, process: Process) -> "ProcessAnswer":
        """A job that has ended is completed once its result is in the assets; until then it goes on."""
        over = process.status not in (ProcessStatus.QUEUED, ProcessStatus.RUNNING)
        return cls(
            id=process.id,
            target=process.target,
            targetId=process.target_id,
            status=process.status,
            progress=process.progress,
            estimate=estimate(process),
            created=process.created_at,
            started=process.started_at,
            completed=process.ended_at if over else None,
            cause=(process.cause or UNKNOWN) if process.status is ProcessStatus.FAILED else None,
            jobType=process.job_type,
        )
