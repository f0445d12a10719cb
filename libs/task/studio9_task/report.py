"""Writing `events.jsonl`: one whole line a call, flushed, numbered; usable from several threads."""

import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from studio9_task.clock import now
from studio9_task.events import (
    MAX_EVENT,
    MAX_TEXT,
    Artifact,
    Checkpoint,
    Event,
    Failed,
    Log,
    Metric,
    Progress,
    Result,
    Warned,
)
from studio9_task.outputs import Written

Split = Literal["train", "val", "test", "none"]


class EventWriter:
    """Tells the platform what a task does. Paths of files are given relative to `outputs`. `before`: events that the
    file has already, when somebody goes on with it."""

    def __init__(self, path: Path, outputs: Path, before: int = 0) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._outputs = outputs
        self._sequence = before
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Sync and close the file."""
        os.fsync(self._handle)
        os.close(self._handle)

    def progress(
        self,
        value: float,
        remaining_s: float | None = None,
        epoch: int | None = None,
        epochs: int | None = None,
    ) -> None:
        """How far the task is, from 0 to 1."""
        self._write(Progress, value=min(1.0, max(0.0, value)), remaining_s=remaining_s, epoch=epoch, epochs=epochs)

    def metric(self, key: str, value: float, step: int = 0, split: Split = "none") -> None:
        """One measured value; one that is not finite is told as a warning instead."""
        if not math.isfinite(value):
            self.warning("not_finite", f"{key} is {value} at step {step}.")
            return
        self._write(Metric, key=key, value=value, step=step, split=split)

    def log(self, message: str, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """A line for people."""
        self._write(Log, level=level, message=message[:MAX_TEXT])

    def warning(self, code: str, message: str) -> None:
        """Something the user should know."""
        self._write(Warned, code=code, message=message[:MAX_TEXT])

    def checkpoint(self, written: Written, epoch: int, step: int = 0) -> None:
        """A state that a later attempt can go on from; its file must be finished."""
        self._write(
            Checkpoint,
            path=self._relative(written),
            sha256=written.sha256,
            size=written.size,
            epoch=epoch,
            step=step,
        )

    def artifact(self, name: str, written: Written, media_type: str = "application/octet-stream") -> None:
        """A finished file."""
        self._write(
            Artifact,
            name=name,
            path=self._relative(written),
            sha256=written.sha256,
            size=written.size,
            media_type=media_type,
        )

    def result(self, summary: Mapping[str, Any]) -> None:
        """The work is done."""
        self._write(Result, summary=summary)

    def failed(self, class_: Literal["user", "system"], code: str, message: str) -> None:
        """The task can't go on."""
        self._write(Failed, class_=class_, code=code, message=message[:MAX_TEXT])

    def _relative(self, written: Written) -> str:
        return written.path.relative_to(self._outputs).as_posix()

    def _write(self, model: type[Event], **fields: Any) -> None:
        with self._lock:
            event = model(time=now(), sequence=self._sequence + 1, **fields)
            line = event.model_dump_json(exclude_none=True).encode() + b"\n"
            if len(line) > MAX_EVENT:
                raise ValueError(f"an event of {len(line)} bytes: at most {MAX_EVENT} fit; write it to a file")
            os.write(self._handle, line)
            self._sequence += 1
