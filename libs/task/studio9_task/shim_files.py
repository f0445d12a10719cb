"""The files by which shim and agent know of each other. Standard library only."""

import fcntl
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from studio9_task.clock import elapsed
from studio9_task.outputs import write_bytes

LOCK_WAIT_S = 5.0
"""An agent that looks holds the lock for an instant: try for so long before believing in another shim."""

MAX_STOP_GRACE_S = 60.0
"""No stop waits longer, whatever its file says: a task may be able to write there."""


class Lock:
    """The shim's sign of life: an exclusive flock that the system takes away when the shim is gone."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.taken = False

    def __enter__(self) -> Self:
        deadline = elapsed() + LOCK_WAIT_S
        while not self.taken:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.taken = True
            except BlockingIOError:
                if elapsed() > deadline:
                    break
                time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._handle)

    def write(self, content: str) -> None:
        """Say when and by whom it was taken; an empty lock file means that no shim ever began."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, content.encode(), 0)
        os.fsync(self._handle)


class LeaseWatch:
    """Tells when the lease file has not changed for `grace` seconds (none: never), whatever the date does."""

    def __init__(self, path: Path, grace: float | None) -> None:
        self._path = path
        self._grace = grace
        self._seen: tuple[int, int] | None = None
        self._since = elapsed()

    def expired(self) -> bool:
        """Whether the agent has been silent for too long."""
        if self._grace is None:
            return False
        with suppress(FileNotFoundError):
            status = self._path.stat()
            if (seen := (status.st_mtime_ns, status.st_ino)) != self._seen:
                self._seen, self._since = seen, elapsed()
        return elapsed() - self._since >= self._grace


class CappedLog:
    """The task's output, kept up to `limit` bytes; what goes beyond is read, counted and dropped."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._reading, self.pipe = os.pipe()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self.written = 0

    @property
    def truncated(self) -> bool:
        """Whether something was dropped."""
        return self.written > self._limit

    def start(self) -> None:
        """Begin to read, once the task holds the pipe's other end."""
        os.close(self.pipe)
        self._thread.start()

    def close(self) -> None:
        """Wait for the last of it."""
        if self._thread.ident is not None:
            self._thread.join(timeout=2)
        else:
            os.close(self.pipe)

    def _drain(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while chunk := os.read(self._reading, 65536):
                if (room := self._limit - self.written) > 0:
                    with suppress(OSError):  # a full disk must not block the task on its pipe
                        file.write(chunk[:room])
                self.written += len(chunk)


def told_grace(path: Path, started_with: float) -> float:
    """Seconds between SIGTERM and SIGKILL: what the stop file says, else what the task was started with."""
    try:
        told = float(path.read_text())
    except (OSError, ValueError):
        return started_with
    return min(max(told, 0.0), max(started_with, MAX_STOP_GRACE_S)) if math.isfinite(told) else started_with


def write_exit(path: Path, record: Mapping[str, object]) -> None:
    """Write the exit record as a whole."""
    write_bytes(path, json.dumps(record).encode())
