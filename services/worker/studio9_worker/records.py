"""What the worker remembers of an attempt across its own death."""

from dataclasses import dataclass
from typing import Literal

from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import WorkerResult, WorkerRun
from studio9_worker.lease import AttemptKey

AttemptPhase = Literal["staging", "running", "uploading", "ended"]
"""As in beats. `ended`: the result is on disk and waits to be confirmed."""

StopCause = Literal["cancelled", "told", "superseded", "cut_off", "shutdown"]
"""Who ended it: a cancel, Orion's answer to a beat, a newer fence, the disconnect grace, the agent's own end."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The telemetry batch that may be on its way: it begins at a byte of the event file and holds so many lines."""

    start: int
    lines: int


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt as it was last written down."""

    key: AttemptKey
    organisation: str
    slots: tuple[str, ...]
    """One, or one for each of its GPUs."""
    run: WorkerRun
    phase: AttemptPhase
    stop: StopCause | None = None
    cursor: Cursor | None = None
    checkpoint: ObjectRef | None = None
    result: WorkerResult | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a job's fences; 0 where nothing is."""

    highest: int = 0
    cancelled: int = 0
