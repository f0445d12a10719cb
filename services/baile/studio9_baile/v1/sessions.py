"""`/v1/training-sessions`: trainings as they go on; the id is the job's."""

from studio9_baile.jobs.telling import estimate
from studio9_baile.models.jobs import Process, ProcessStatus
from studio9_baile.usecases import sessions
from studio9_baile.usecases.sessions import Session
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.jobs import JobAnswer, Metric
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Id, Page, TheSlice, Time, paged

routes = router(prefix="/training-sessions", tag="training sessions")


class LogLine(Answer):
    """A line of the task's log."""

    time: str
    level: str | None = None
    message: str | None = None


class Artifact(Answer):
    """A file that the training left; `url` is good for an hour."""

    name: str
    sha256: str
    size: int
    media_type: str | None = None
    url: str


class SessionHead(Answer):
    """A training in a list."""

    id: str
    model: str | None = None
    model_version: str | None = None
    dataset_version: str | None = None
    status: ProcessStatus
    progress: float
    estimate: int | None = None
    cause: str | None = None
    created_at: Time
    ended_at: Time | None = None

    @classmethod
    def of(cls, process: Process) -> "SessionHead":
        return cls(
            id=process.id,
            model=process.context.get("model"),
            model_version=process.context.get("model_version"),
            dataset_version=process.context.get("dataset_version"),
            status=process.status,
            progress=process.progress,
            estimate=estimate(process),
            cause=process.cause,
            created_at=process.created_at,
            ended_at=process.ended_at,
        )


class SessionAnswer(Answer):
    """A training with its job, every value that it measured, its last log lines, and what it left. `commit` is the
    build's that ran it, `image_digest` the trainer's image (absent: a child process). While it runs, `GET /v1/events`
    tells when to read it again."""

    session: SessionHead
    job: JobAnswer
    metrics: list[Metric]
    logs: list[LogLine]
    artifacts: list[Artifact]
    commit: str | None = None
    image_digest: str | None = None

    @classmethod
    def of(cls, found: Session) -> "SessionAnswer":
        return cls(
            session=SessionHead.of(found.known.process),
            job=JobAnswer.of(found.known),
            metrics=[
                Metric(key=one.key, step=one.step, split=one.split, value=one.value, time=one.time)
                for one in found.metrics
            ],
            logs=[LogLine(time=one.time, level=one.level, message=one.message) for one in found.logs],
            artifacts=[
                Artifact(name=file.name, sha256=file.sha256, size=file.size, media_type=file.media_type, url=url)
                for file, url in found.artifacts
            ],
            commit=found.commit,
            image_digest=found.image_digest,
        )


@routes.get("", response_model_exclude_none=True)
async def list_sessions(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[SessionHead]:
    rows = await sessions.list_sessions(core, caller, wanted)
    return paged([SessionHead.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{session_id}", response_model_exclude_none=True)
async def get(session_id: Id, core: TheCore, caller: TheCaller) -> SessionAnswer:
    return SessionAnswer.of(await sessions.get_session(core, caller, session_id))
