"""`request.json`: what a task is to do. It holds no secret and nothing about its organisation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from studio9_task.errors import RequestError
from studio9_task.model import Contract, Name, Versioned
from studio9_task.problems import describe

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""train, evaluate, predict; later tile, augment, analyse, import, export, tune, …: the catalogue decides."""


class Resume(Contract):
    """Where an earlier attempt left off."""

    checkpoint: str = Field(min_length=1, max_length=500, description="path inside the task's folder")


class EndedChild(Contract):
    """How a child ended that this task's last run has asked for (studio9_task.children). What it brought lies in
    `inputs/children/<name>/`. `lost`: it failed for no fault of its settings, and may be asked for again."""

    name: Name
    state: Literal["completed", "failed", "cancelled"]
    lost: bool = False
    message: str = Field(default="", max_length=4_000)


class TaskRequest(Versioned):
    """One piece of work. `inputs` names the folders under `inputs/` that were staged from the platform's storage; files
    from users' own buckets lie beside them, for code of their own."""

    job: str = Field(min_length=1, max_length=64)
    kind: Kind
    framework: Name
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, lt=2**32)
    threads: int = Field(default=1, ge=1, le=1024)
    inputs: tuple[Name, ...] = ()
    resume: Resume | None = None
    children: tuple[EndedChild, ...] = ()


def read_request(path: Path) -> TaskRequest:
    """Read `request.json`; raise RequestError, naming field and fix, if it can't be used."""
    try:
        return TaskRequest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RequestError(f"{path.name} can't be read ({error.strerror}): write it before the task starts.") from None
    except ValidationError as error:
        raise RequestError(f"{path.name} is not a task request: {describe(error)}") from None
