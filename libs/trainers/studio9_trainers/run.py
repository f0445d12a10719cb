"""What a trainer is given to work with: where files are, who hears events, when to stop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_task.report import EventWriter
from studio9_task.results import Finding, Timings
from studio9_trainers.events import Listener, TrainingEvent, WarningGiven
from studio9_trainers.stop import StopFlag


@dataclass
class Run:
    """One task at work. `rank` of `world` processes; only rank 0 writes files and tells. `own_machine`: whoever wrote
    the code that is trained with runs it themselves, where it can do no more than they; on the platform never."""

    folder: TaskFolder
    events: EventWriter
    seed: int = 0
    threads: int = 1
    stop: StopFlag = field(default_factory=StopFlag)
    device: str = "cpu"
    checkpoint: Path | None = None
    listeners: list[Listener] = field(default_factory=list)
    rank: int = 0
    world: int = 1
    own_machine: bool = False
    warnings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and tells."""
        return self.rank == 0

    def tell(self, event: TrainingEvent) -> None:
        """Let every listener hear an event."""
        for listener in self.listeners:
            listener(event)

    def warn(self, code: str, message: str) -> None:
        """Tell the user something now, and in the result."""
        self.events.warning(code, message)
        self.warnings.append(Finding(code=code, message=message))
        self.tell(WarningGiven(code, message))

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
        known = {f"{name}_s": round(value, 3) for name, value in self.seconds.items()}
        spent = {name: value for name, value in known.items() if name in Timings.model_fields}
        return Timings(**spent, total_s=round(time.monotonic() - self.began, 3))


def open_run(folder: Path | str, threads: int = 1, seed: int = 0) -> Run:
    """A run outside the platform, with its files in `folder`: outputs/, scratch/ and events.jsonl, begun anew.

    Close `run.events` when done.
    """
    task = TaskFolder(Path(folder).resolve())
    for made in (task.outputs, task.scratch):
        made.mkdir(parents=True, exist_ok=True)
    task.events.unlink(missing_ok=True)
    return Run(task, EventWriter(task.events, task.outputs), seed=seed, threads=threads)
