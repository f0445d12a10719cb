"""The checkpoints of one run on its disk: numbered, the newest two kept."""

from pathlib import Path

from studio9_trainers.events import CheckpointWritten
from studio9_trainers.run import Run
from studio9_trainers.state.training import TrainingState, save_state

KEPT = 2
"""The last, and the one before it while it may still be uploading."""


class Checkpoints:
    """Writes states under the run's outputs and tells each once it is durable."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._written: list[Path] = []

    def write(self, state: TrainingState) -> None:
        """Write one, tell it, and drop what is older than the two newest."""
        place = state.place
        name = f"epoch-{place.epoch:04d}" + (f"-{place.step:06d}" if place.step else "")
        path = self._run.folder.outputs / "checkpoints" / f"{name}.pt"
        with self._run.timed("model_saving"):
            written = save_state(path, state)
        self._run.tell(CheckpointWritten(place.epoch, place.step, written))
        self._written.append(path)
        while len(self._written) > KEPT:
            self._written.pop(0).unlink(missing_ok=True)
