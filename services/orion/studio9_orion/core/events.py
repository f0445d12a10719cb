"""What the core can be told. `name` is the column of the table in `core/table.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from studio9_common.contracts.job import ChildRequest, Exit, ObjectRef, Spec, State
from studio9_common.contracts.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """Somebody wants a job. `checkpoint` is that of the job it retries, looked up by the shell."""

    name: ClassVar[str] = "requested"
    job: str
    organisation: str
    owner: str
    spec: Spec
    request_hash: str
    project: str | None = None
    priority: int = 0
    priority_class: str = "cpu"
    parent: str | None = None
    depends_on: tuple[str, ...] = ()
    retried_from: str | None = None
    checkpoint: ObjectRef | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody wants a job to end."""

    name: ClassVar[str] = "cancel"
    job: str
    organisation: str
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedSeen:
    """The states of a job's parent, dependencies and the children it waits for, read in real time; None: there is no
    such job (yet)."""

    name: ClassVar[str] = "related"
    states: Mapping[str, State | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A child of this job has ended; told again and again until the child is clean."""

    name: ClassVar[str] = "child_ended"
    child: str
    organisation: str
    state: State
    reason: Reason | None = None
    manifest: ObjectRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityChanged:
    """Somebody moves a job within its organisation's queue; the larger the earlier."""

    name: ClassVar[str] = "priority"
    organisation: str
    priority: int
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The scheduler gives the job a slot of a worker."""

    name: ClassVar[str] = "assigned"
    worker: str
    provider: str = "workers"
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unroutable:
    """The broker returned this attempt's `worker.run`: the worker's queue is gone."""

    name: ClassVar[str] = "unroutable"
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One attempt in a worker's beat."""

    worker: str
    fence: int
    phase: Literal["staging", "running", "uploading", "ended"]
    checkpoint: ObjectRef | None = None

    @property
    def name(self) -> str:
        return "beat.running" if self.phase == "uploading" else f"beat.{self.phase}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReceived:
    """How an attempt ended, told by its worker. `children`: what a success asks for before the job can go on."""

    worker: str
    organisation: str
    fence: int
    outcome: Literal["succeeded", "failed", "cancelled", "refused"]
    reason: Reason | None = None
    exit: Exit | None = None
    manifest: ObjectRef | None = None
    checkpoint: ObjectRef | None = None
    children: tuple[ChildRequest, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"result.{self.outcome}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReported:
    """What became of an output in the warehouse."""

    name: ClassVar[str] = "output"
    organisation: str
    output: str
    state: Literal["loading", "loaded", "failed"]
    rows: int | None = None
    manifest_sha256: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed. `heard_until`: how long the last beat of `fence` holds, by a real-time read (None: no beat is
    stored). `deaf_until`: silence before this time could not have been heard, so none is judged."""

    name: ClassVar[str] = "tick"
    fence: int | None = None
    heard_until: str | None = None
    deaf_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What the job used is gone, and `parent` knows how it ended. `n` is the last order that was carried out, where it
    was taken from the outbox."""

    name: ClassVar[str] = "cleaned"
    parent: str | None = None
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """Nothing that this child has left is there any more; `parent_state` is how its parent has ended."""

    name: ClassVar[str] = "emptied"
    parent_state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """A message about the job was given up."""

    name: ClassVar[str] = "dead_letter"
    type: str
    why: str


CoreEvent = (
    Requested | CancelRequested | PriorityChanged | RelatedSeen | ChildEnded | Assigned | Unroutable | Beat
    | ResultReceived | OutputReported | Tick | Cleaned | Emptied | DeadLettered
)  # fmt: skip
