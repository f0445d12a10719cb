"""What the core can be told. `name` is the column of the table in `core/table.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from studio9_common.contracts.job import Exit, ObjectRef, Spec, State
from studio9_common.contracts.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """Somebody wants a job. `checkpoint` is that of the job it retries, looked up by the shell."""

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

    @property
    def name(self) -> str:
        return "requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody wants a job to end."""

    job: str
    organisation: str
    requested_by: str

    @property
    def name(self) -> str:
        return "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedSeen:
    """The states of a job's parent and dependencies, read in real time; None: there is no such job (yet)."""

    states: Mapping[str, State | None]

    @property
    def name(self) -> str:
        return "related"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A child of this job has ended; told again and again until the child is clean."""

    child: str
    organisation: str
    state: State

    @property
    def name(self) -> str:
        return "child_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityChanged:
    """Somebody moves a job within its organisation's queue; the larger the earlier."""

    organisation: str
    priority: int
    requested_by: str

    @property
    def name(self) -> str:
        return "priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The scheduler gives the job a slot of a worker."""

    worker: str
    provider: str = "workers"
    epoch: int = 0

    @property
    def name(self) -> str:
        return "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unroutable:
    """The broker returned this attempt's `worker.run`: the worker's queue is gone."""

    fence: int

    @property
    def name(self) -> str:
        return "unroutable"


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
    """How an attempt ended, told by its worker."""

    worker: str
    organisation: str
    fence: int
    outcome: Literal["succeeded", "failed", "cancelled", "refused"]
    reason: Reason | None = None
    exit: Exit | None = None
    manifest: ObjectRef | None = None
    checkpoint: ObjectRef | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"result.{self.outcome}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReported:
    """What became of an output in the warehouse."""

    organisation: str
    output: str
    state: Literal["loading", "loaded", "failed"]
    rows: int | None = None
    manifest_sha256: str = ""
    message: str = ""

    @property
    def name(self) -> str:
        return "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed. `heard_until`: how long the last beat of `fence` holds, by a real-time read (None: no beat is
    stored). `deaf_until`: silence before this time could not have been heard, so none is judged."""

    fence: int | None = None
    heard_until: str | None = None
    deaf_until: str | None = None

    @property
    def name(self) -> str:
        return "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What the job used is gone, and `parent` knows how it ended."""

    parent: str | None = None

    @property
    def name(self) -> str:
        return "cleaned"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """A message about the job was given up."""

    type: str
    why: str

    @property
    def name(self) -> str:
        return "dead_letter"


CoreEvent = (
    Requested | CancelRequested | PriorityChanged | RelatedSeen | ChildEnded | Assigned | Unroutable | Beat
    | ResultReceived | OutputReported | Tick | Cleaned | DeadLettered
)  # fmt: skip
