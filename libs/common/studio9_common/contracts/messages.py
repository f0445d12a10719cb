"""Every message on the bus: its type (`studio9.job.requested.v1`), routing key and typed data.

Consumers ignore unknown fields; a breaking change is a new type beside the old one for a release. At most 64 KiB.
A message to one worker, or from one, ends its routing key with the worker's id: the broker lets a machine that joined
speak in no other name.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio9_common.contracts.job import Child, ChildRequest, Exit, Input, ObjectRef, Requirements, Spec, State
from studio9_common.contracts.reasons import Reason

MAX_MESSAGE = 64 * 1024
"""Bytes of an encoded message."""

Id = Annotated[str, Field(min_length=1, max_length=128)]


class Message(BaseModel):
    """Base of all message data. `type` and `routing_key` are class attributes."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: ClassVar[str]
    routing_key: ClassVar[str]
    transient: ClassVar[bool] = False
    """May be lost with the broker: something fresher follows, or a store decides."""

    def route(self) -> str:
        """The full routing key of this message."""
        return self.routing_key


# --- jobs ------------------------------------------------------------------------------------------------------


class JobRequested(Message):
    """Please run this (Baile, Taurus → Orion). Idempotent by `job`; published again until job.accepted is seen."""

    type = "studio9.job.requested.v1"
    routing_key = "job.requested"
    job: Id
    owner: Id
    project: Id | None = None
    spec: Spec
    priority: int = 0
    priority_class: str = "cpu"
    parent: Id | None = None
    depends_on: tuple[Id, ...] = ()
    retried_from: Id | None = None
    context: Mapping[str, Any] = Field(default_factory=dict)


class JobCancel(Message):
    """Please cancel (Baile → Orion). A cancel for an unknown job creates it as cancelled."""

    type = "studio9.job.cancel.v1"
    routing_key = "job.cancel"
    job: Id
    requested_by: str


class JobEvent(Message):
    """Base of what Orion tells about a job; `parent` is the one that asked for it, if one did."""

    job: Id
    kind: str
    parent: Id | None = None
    context: Mapping[str, Any] = Field(default_factory=dict)
    time: str


class JobAccepted(JobEvent):
    """The job is durable in Aries; it can be read there from now on."""

    type = "studio9.job.accepted.v1"
    routing_key = "job.accepted"
    state: State


class JobQueued(JobEvent):
    """The job waits (again); `reason` says why it came back."""

    type = "studio9.job.queued.v1"
    routing_key = "job.queued"
    attempt: int
    reason: Reason | None = None


class JobStarted(JobEvent):
    """An attempt runs."""

    type = "studio9.job.started.v1"
    routing_key = "job.started"
    attempt: int
    worker: Id


class JobProgress(JobEvent):
    """Where a running job is. `progress` 0..1; `metrics` are the latest values by key (`map50`, `train/box_loss`), of
    the epoch `metrics_step`, which is over, while `epoch` is the one at work."""

    type = "studio9.job.progress.v1"
    routing_key = "job.progress"
    transient = True
    attempt: int
    fence: int
    progress: float = Field(ge=0, le=1)
    remaining_s: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    metrics: Mapping[str, float] = Field(default_factory=dict)
    metrics_step: int | None = None


class JobEnded(JobEvent):
    """Base of the three terminal events."""

    state: State
    attempt: int
    fence: int
    reason: Reason | None = None
    manifest: ObjectRef | None = None
    summary: Mapping[str, Any] = Field(default_factory=dict)
    created_at: str
    started_at: str | None = None
    ended_at: str


class JobCompleted(JobEnded):
    """Completed: `manifest` (an AttemptManifest) and `summary` are the result."""

    type = "studio9.job.completed.v1"
    routing_key = "job.completed"


class JobFailed(JobEnded):
    """Failed: `reason` says why and what to do."""

    type = "studio9.job.failed.v1"
    routing_key = "job.failed"


class JobCancelled(JobEnded):
    """Cancelled, by a user or with its parent."""

    type = "studio9.job.cancelled.v1"
    routing_key = "job.cancelled"


class JobOutput(Message):
    """What became of one output in the warehouse (Pegasus → Orion, Baile)."""

    type = "studio9.job.output.v1"
    routing_key = "job.output"
    job: Id
    output: str
    state: Literal["loading", "loaded", "failed"]
    rows: int | None = None
    manifest_sha256: str = ""
    message: str = ""


class JobClean(Message):
    """Please remove what this job used (Orion's core → its cleaner)."""

    type = "studio9.job.clean.v1"
    routing_key = "job.clean"
    job: Id
    prefixes: tuple[str, ...] = ()


class SchedulerCall(Message):
    """An Orion that does not schedule calls the one that does. If that one is gone, whoever takes over its queue gets
    the call, and leads from then on. `removed` is a worker that has just been removed, and gets no more jobs. `queued`
    and `ended` are jobs that the caller has just written: those that wait (again), and those that are over."""

    type = "studio9.scheduler.call.v1"
    routing_key = "scheduler.call"
    transient = True
    orion: Id
    removed: Id | None = None
    queued: tuple[Id, ...] = ()
    ended: tuple[Id, ...] = ()


# --- Orion → worker --------------------------------------------------------------------------------------------


class WorkerCommand(Message):
    """Base of what is sent to one worker. (job, version, n) and the fence make handling idempotent."""

    worker: Id

    def route(self) -> str:
        return f"{self.routing_key}.{self.worker}"


class WorkerRun(WorkerCommand):
    """Run this attempt. The worker refuses a fence at or below the highest that it has seen for the job."""

    type = "studio9.worker.run.v1"
    routing_key = "worker.run"
    job: Id
    attempt: int
    fence: int
    epoch: int = 0
    version: int = 0
    n: int = 0
    spec: Spec
    resume: ObjectRef | None = None
    children: tuple[Child, ...] = ()
    lease_s: float = 20.0


class WorkerCancel(WorkerCommand):
    """Stop this attempt: SIGTERM now, SIGKILL after `grace_s`. A durable tombstone keeps it from starting later."""

    type = "studio9.worker.cancel.v1"
    routing_key = "worker.cancel"
    job: Id
    fence: int
    version: int = 0
    n: int = 0
    grace_s: float = 20.0


class WorkerDrain(WorkerCommand):
    """Take no new job, finish what is there (`draining`), or take jobs again. Of two the one with the later `at`
    counts, in whatever order they come; the worker remembers it across restarts."""

    type = "studio9.worker.drain.v1"
    routing_key = "worker.drain"
    draining: bool
    at: str


class Lease(BaseModel):
    """The answer for one attempt. `confirmed`: the result is durable, forget the attempt and remove its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    job: Id
    fence: int
    decision: Literal["keep", "stop", "confirmed"]
    seconds: float = 20.0


class WorkerLease(WorkerCommand):
    """Answers one beat. Only durations cross machines; they count from the moment the beat was sent."""

    type = "studio9.worker.lease.v1"
    routing_key = "worker.lease"
    transient = True
    beat: int
    leases: tuple[Lease, ...] = ()


# --- worker → Orion --------------------------------------------------------------------------------------------


class AttemptBeat(BaseModel):
    """One attempt in a beat. `phase`: staging, running, uploading, ended (the result waits to be confirmed)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    job: Id
    organisation: Id
    fence: int
    sequence: int
    phase: Literal["staging", "running", "uploading", "ended"]
    progress: float = 0.0
    remaining_s: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    metrics: Mapping[str, float] = Field(default_factory=dict)
    metrics_step: int | None = None
    checkpoint: ObjectRef | None = None


class Slot(BaseModel):
    """A place for one job at a time. `gpu_memory_free_gib` is what is really free now."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    kind: Literal["cpu", "gpu"] = "cpu"
    gpu_memory_gib: float = 0.0
    gpu_memory_free_gib: float = 0.0
    job: Id | None = None


class WorkerReport(Message):
    """Base of what one worker says."""

    worker: Id

    def route(self) -> str:
        return f"{self.routing_key}.{self.worker}"

    @classmethod
    def binding(cls) -> str:
        """Whatever worker says it, those of an earlier version too, which left their name out."""
        return f"{cls.routing_key}.#"


class WorkerBeat(WorkerReport):
    """Every 5 s: the worker's slots and attempts. `announcement` (its catalogue) comes with the first beats."""

    type = "studio9.worker.beat.v1"
    routing_key = "worker.beat"
    transient = True
    instance: Id
    sequence: int
    slots: tuple[Slot, ...]
    labels: tuple[str, ...] = ()
    runners: tuple[str, ...] = ("process",)
    draining: bool = False
    attempts: tuple[AttemptBeat, ...] = ()
    machine: Mapping[str, float] = Field(default_factory=dict)
    announcement: Mapping[str, Any] | None = None


class TelemetryItem(BaseModel):
    """In MLflow's terms: `metric` (key, value, step, split), `parameter`; `log` (level, message), `warning`, …"""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["metric", "parameter", "log", "progress", "warning", "artifact", "checkpoint"]
    time: str
    key: str | None = None
    value: float | None = None
    step: int | None = None
    split: str | None = None
    level: str | None = None
    message: str | None = None


class WorkerTelemetry(WorkerReport):
    """A batch of progress, metrics and log lines of one attempt; (job, fence, sequence) is its id."""

    type = "studio9.worker.telemetry.v1"
    routing_key = "worker.telemetry"
    job: Id
    organisation: Id
    fence: int
    sequence: int
    items: tuple[TelemetryItem, ...]


class WorkerResult(WorkerReport):
    """How an attempt ended; sent until a lease says `confirmed`. `refused`: it never started (no_slot, stale fence)."""

    type = "studio9.worker.result.v1"
    routing_key = "worker.result"
    job: Id
    organisation: Id
    attempt: int
    fence: int
    outcome: Literal["succeeded", "failed", "cancelled", "refused"]
    reason: Reason | None = None
    exit: Exit | None = None
    manifest: ObjectRef | None = None
    checkpoint: ObjectRef | None = None
    children: tuple[ChildRequest, ...] = ()
    summary: Mapping[str, Any] = Field(default_factory=dict)


# --- configuration ---------------------------------------------------------------------------------------------


class ConfigChanged(Message):
    """A value in Argo has changed; whoever uses it reads it again."""

    type = "studio9.config.changed.v1"
    routing_key = "config.changed"
    scope: Literal["installation", "organisation", "project"]
    project: Id | None = None
    service: str
    key: str
    version: int
    deleted: bool = False


MESSAGES: dict[str, type[Message]] = {
    cls.type: cls
    for cls in (
        JobRequested, JobCancel, JobAccepted, JobQueued, JobStarted, JobProgress, JobCompleted, JobFailed, JobCancelled,
        JobOutput, JobClean, SchedulerCall, WorkerRun, WorkerCancel, WorkerDrain, WorkerLease, WorkerBeat,
        WorkerTelemetry, WorkerResult, ConfigChanged,
    )
}  # fmt: skip
"""All messages by type."""

__all__ = [
    "MAX_MESSAGE", "MESSAGES", "AttemptBeat", "ConfigChanged", "Exit", "Input", "JobAccepted", "JobCancel",
    "JobCancelled", "JobClean", "JobCompleted", "JobEnded", "JobEvent", "JobFailed", "JobOutput", "JobProgress",
    "JobQueued", "JobRequested", "JobStarted", "Lease", "Message", "Requirements", "SchedulerCall", "Slot",
    "TelemetryItem", "WorkerBeat", "WorkerCancel", "WorkerCommand", "WorkerDrain", "WorkerLease", "WorkerResult",
    "WorkerRun", "WorkerTelemetry",
]  # fmt: skip
