"""The checkpoints of one run on its disk: numbered, the newest two kept."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from studio9_trainers.errors import Stopped
from studio9_trainers.events import CheckpointWritten
from studio9_trainers.run import Run
from studio9_trainers.state.training import Copies, Place, TrainingState, write_copy

KEPT = 2
"""The last, and the one before it while it may still be uploading."""


class Checkpoints:
    """Copies states, and writes the copies under the run's outputs while the training goes on, one at a time.

    The task's events tell a state as soon as it is durable, listeners hear of it in `settle`. Trainings settle when the
    first batch after it is done, so that no more than that is ever lost besides the batches since a state. As a block
    it settles at its end, however that comes.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._copies = Copies()
        self._writer = ThreadPoolExecutor(1, "states")
        self._begun: Future[CheckpointWritten] | None = None
        self._written: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.settle()
        except Exception as also:
            if error is None or isinstance(error, Stopped):
                raise
            error.add_note(f"Nor could the last state be written: {also}")
        finally:
            self._writer.shutdown()

    def write(self, state: TrainingState) -> None:
        """Copy a state and begin to write it; what was begun before is settled first."""
        self.settle()
        with self._run.timed("model_saving"):
            content = self._copies.of(state)
        self._begun = self._writer.submit(self._write, state.place, content)

    def settle(self) -> None:
        """Wait until what was begun is durable, and let listeners hear of it. Raises what its writing raised."""
        if self._begun is None:
            return
        begun, self._begun = self._begun, None
        with self._run.timed("model_saving"):
            written = begun.result()
        self._run.tell(written)

    def _write(self, place: Place, content: Mapping[str, Any]) -> CheckpointWritten:
        """Write one, tell the task's events, and drop what is older than the two newest."""
        name = f"epoch-{place.epoch:04d}" + (f"-{place.step:06d}" if place.step else "")
        written = write_copy(self._run.folder.outputs / "checkpoints" / f"{name}.pt", content)
        self._run.events.checkpoint(written, epoch=place.epoch, step=place.step)
        self._written.append(written.path)
        while len(self._written) > KEPT:
            self._written.pop(0).unlink(missing_ok=True)
        return CheckpointWritten(place.epoch, place.step, written)
