"""`events.jsonl`: what a task tells while it runs. One JSON object a line; only ended lines count.

Metrics, parameters and artifacts use MLflow's terms. A task says nothing about its job or fence:
who reads the file knows them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, StringConstraints, TypeAdapter

from studio9_task.model import Contract, Name, Sha256, Time

MAX_EVENT = 64 * 1024
"""Bytes of one line, its end included."""

MAX_TEXT = 4_000
"""Characters of a message."""

CLAIMS = ("job", "fence", "organisation", "worker", "attempt")
"""Fields by which a task would say for whom it speaks. It does not know, and nobody believes it."""

Message = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
OutputPath = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A path relative to `outputs/`, with `/` between its parts."""


class Told(Contract):
    """What every event carries. `sequence` counts from 1 within one file."""

    time: Time
    sequence: int = Field(ge=1)
    _claims: tuple[str, ...] = PrivateAttr(default=())

    @property
    def claims(self) -> tuple[str, ...]:
        """What the line says of whose it is (see CLAIMS): worth nothing, but whoever reads it notes it."""
        return self._claims

    def claiming(self, claims: tuple[str, ...]) -> Self:
        """The same event, with these claims noted on it."""
        self._claims = claims
        return self


class Progress(Told):
    """How far the task is, 0 to 1, and how many seconds it expects still to need."""

    type: Literal["progress"] = "progress"
    value: float = Field(ge=0, le=1)
    remaining_s: float | None = Field(default=None, ge=0)
    epoch: int | None = Field(default=None, ge=0, description="the epoch at work, counted from 1")
    epochs: int | None = Field(default=None, ge=0)


class Metric(Told):
    """One measured value. `step` is the epoch, counted from 1."""

    type: Literal["metric"] = "metric"
    key: Annotated[str, StringConstraints(min_length=1, max_length=250)]
    value: float
    step: int = Field(default=0, ge=0)
    split: Literal["train", "val", "test", "none"] = "none"


class Log(Told):
    """A line for people."""

    type: Literal["log"] = "log"
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: Message


class Checkpoint(Told):
    """A state from which a later attempt goes on."""

    type: Literal["checkpoint"] = "checkpoint"
    path: OutputPath
    sha256: Sha256
    size: int = Field(ge=0)
    epoch: int = Field(ge=0, description="finished epochs")
    step: int = Field(default=0, ge=0, description="finished batches of the epoch after it")


class Artifact(Told):
    """A finished file under `outputs/`."""

    type: Literal["artifact"] = "artifact"
    name: Name
    path: OutputPath
    sha256: Sha256
    size: int = Field(ge=0)
    media_type: Annotated[str, StringConstraints(max_length=200)] = "application/octet-stream"


class Warned(Told):
    """Something the user should know, which does not stop the task."""

    type: Literal["warning"] = "warning"
    code: Name
    message: Message


class Result(Told):
    """The task has done its work; `summary` is small, the whole is the artifact `result`."""

    type: Literal["result"] = "result"
    summary: Mapping[str, Any]


class Failed(Told):
    """The task can't go on: through what the user gave it, or through itself."""

    type: Literal["error"] = "error"
    class_: Literal["user", "system"] = Field(alias="class")
    code: Name
    message: Message


Event = Annotated[
    Progress | Metric | Log | Checkpoint | Artifact | Warned | Result | Failed, Field(discriminator="type")
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Validates one event of any type."""
