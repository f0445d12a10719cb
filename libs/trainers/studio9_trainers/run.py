"""What a trainer is given to work with: where files are, who hears events, when to stop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_task.report import EventWriter
from studio9_task.results import Finding, Timings
from studio9_trainers.stop import StopFlag


@dataclass
class Run:
    """One task at work."""

    folder: TaskFolder
    events: EventWriter
    seed: int = 0
    threads: int = 1
    stop: StopFlag = field(default_factory=StopFlag)
    device: str = "cpu"
    checkpoint: Path | None = None
    warnings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def warn(self, code: str, message: str) -> None:
        """Tell the user something now, and in the result."""
        self.events.warning(code, message)
        self.warnings.append(Finding(code=code, message=message))

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to `<name>_s` of the timings."""
        before = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - before

    def timings(self) -> Timings:
        """Where the time went so far."""
        spent = {f"{name}_s": round(value, 3) for name, value in self.seconds.items()}
        return Timings(**spent, total_s=round(time.monotonic() - self.began, 3))
