"""`shim/exit.json`: how a task ended, and what an agent can know of a task at any time."""

import fcntl
import os
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, ValidationError

from studio9_task.layout import TaskFolder
from studio9_task.model import Time, Versioned

EXIT_OK = 0
EXIT_USER = 64
"""Of a task that failed through what the user gave it."""
EXIT_SYSTEM = 70
"""Of a task that failed through itself."""
EXIT_STOPPED = 75
"""Of a task that was told to stop; its last checkpoint is where a later attempt goes on."""

Ending = Literal[
    "exited",
    "stopped",
    "time_limit",
    "lease_expired",
    "memory_limit",
    "log_flood",
    "process_limit",
    "disk_limit",
    "start_failed",
    "bad_image",
]


class ExitRecord(Versioned):
    """How a task ended. `exit_code` is none after a signal; both are none when it could not be started."""

    ending: Ending = Field(description="exited: of its own accord; else what the shim ended it for")
    exit_code: int | None = None
    signal: int | None = None
    started: Time
    ended: Time
    duration_s: float = Field(ge=0, description="by a clock that counts through a suspended machine")
    peak_rss_bytes: int = Field(default=0, ge=0, description="most that the task and its children held at once")
    out_of_memory: bool = Field(default=False, description="a guess: over its limit, or killed by no one we know")
    forks_refused: int = Field(default=0, ge=0, description="processes that it was not allowed to start")
    log_bytes: int = Field(default=0, ge=0, description="written by the task")
    log_truncated: bool = False
    detail: str = ""


@dataclass(frozen=True)
class TaskState:
    """What the shim's files say: absent (never began), running, ended, or lost (the shim was killed)."""

    state: Literal["absent", "running", "ended", "lost"]
    record: ExitRecord | None = None


def task_state(folder: TaskFolder) -> TaskState:
    """Where a task stands, from lock and exit record alone; safe to ask at any time, from any process."""
    if (record := _record(folder)) is not None:
        return TaskState("ended", record)
    try:
        handle = os.open(folder.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return TaskState("absent")
    try:
        try:
            # Shared, so that two who ask don't see each other.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return TaskState("running")
        if os.fstat(handle).st_size == 0:
            return TaskState("absent")
    finally:
        os.close(handle)
    # It may have ended between the two looks: the record is written before the lock goes.
    record = _record(folder)
    return TaskState("ended", record) if record is not None else TaskState("lost")


def _record(folder: TaskFolder) -> ExitRecord | None:
    try:
        return ExitRecord.model_validate_json(folder.exit.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
