"""Which of a task's processes failed first, and of what: the others only lose touch with it.

Each has a folder among the task's scratch. There it holds a lock while it lives, so that one that was killed is known
as well, and writes its exit code at its end; all but the first tell their events there too.
"""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio9_task.events import Failed
from studio9_task.exits import EXIT_STOPPED, EXIT_SYSTEM, EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_task.report import EventWriter
from studio9_task.tail import EventReader
from studio9_trainers.errors import LostTouch, TaskError

PATIENCE_S = 5.0
"""Whoever has lost touch with others waits so long for what they say of it."""
LOST = "process_lost"
"""The code of a process that died without a word."""
FAILED = "process_failed"
"""The code of one that failed before or after its part of the task."""
ALIVE, EXIT = "alive", "exit"


@dataclass(frozen=True)
class Failure:
    """What a task ends with for what one of its processes met."""

    class_: Literal["user", "system"]
    code: str
    message: str

    @property
    def exit_code(self) -> int:
        """The task's."""
        return EXIT_USER if self.class_ == "user" else EXIT_SYSTEM


def beside(task: TaskFolder, rank: int) -> TaskFolder:
    """The folder of one of the processes."""
    return TaskFolder(task.scratch / f"process-{rank}")


def begin(own: TaskFolder) -> None:
    """Make a process's folder anew, and be known to live from now on."""
    shutil.rmtree(own.root, ignore_errors=True)
    own.root.mkdir(parents=True)
    # Never closed: the lock ends with the process. A record lock, for what the process forks shall not hold it.
    fcntl.lockf(os.open(own.root / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), fcntl.LOCK_EX)


def write_exit(own: TaskFolder, code: int) -> None:
    """Say how a process ends."""
    whole = own.root / f"{EXIT}.new"
    whole.write_text(str(code))
    whole.replace(own.root / EXIT)


def read_exit(own: TaskFolder) -> int | None:
    """How a process has ended; None for one that has not, or died."""
    with suppress(FileNotFoundError):
        return int((own.root / EXIT).read_text())
    return None


def first_failure(task: TaskFolder, world: int, patience_s: float = PATIENCE_S) -> Failure | None:
    """What the first process that failed beside the leading one says, or that it died; None where none has failed
    after so long, or where one was told to stop."""
    end = time.monotonic() + patience_s
    while (found := _failed(task, world)) is None and time.monotonic() < end and not was_stopped(task, world):
        time.sleep(0.05)
    return found


def was_stopped(task: TaskFolder, world: int) -> bool:
    """Whether a process beside the leading one has ended because it was told to stop."""
    return any(read_exit(beside(task, rank)) == EXIT_STOPPED for rank in range(1, world))


def tell(task: TaskFolder, failure: Failure) -> None:
    """Add to the events of a task, or of a process beside the leading one, what it ends with."""
    before = task.events.read_bytes().count(b"\n") if task.events.exists() else 0
    with EventWriter(task.events, task.outputs, before) as events:
        events.failed(failure.class_, failure.code, failure.message)


def died(rank: int, world: int) -> Failure:
    """What is said for a process that can't any more."""
    return Failure(
        "system", LOST, f"Process {rank + 1} of {world} died without a word: it was killed, perhaps for want of memory."
        " Go on from the last checkpoint, with smaller batches or fewer processes.",
    )  # fmt: skip


def _failed(task: TaskFolder, world: int) -> Failure | None:
    others = [(rank, beside(task, rank)) for rank in range(1, world)]
    # Who lives is asked first: what the dead have written is whole.
    dead = [(rank, own) for rank, own in others if not _lives(own)]
    told = [(error.time, rank, error) for rank, own in others if (error := _told_error(own.events)) is not None]
    said = sorted((one for one in told if one[2].code != LostTouch.code), key=lambda one: one[:2])
    # A library's own talk with the others breaks off as an error of its own: a death goes before that.
    certain = next((one for one in said if one[2].code != TaskError.code), None)
    silent = next((died(rank, world) for rank, own in dead if read_exit(own) is None), None)
    if certain is None and (silent is not None or not said):
        return silent
    _, rank, error = certain or said[0]
    return Failure(error.class_, error.code, f"Process {rank + 1} of {world}: {error.message}")


def _told_error(path: Path) -> Failed | None:
    reader, last = EventReader(path), None
    while some := reader.read():
        last = some[-1]
    return last if isinstance(last, Failed) else None


def _lives(own: TaskFolder) -> bool:
    try:
        handle = os.open(own.root / ALIVE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(handle)
    return False
