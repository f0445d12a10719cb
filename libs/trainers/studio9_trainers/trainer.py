"""What every trainer can do, whatever its framework, and how one is found."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Protocol

from studio9_task.catalogue import Architecture, Catalogue, Head, TaskKind, union
from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.errors import Unsupported
from studio9_trainers.run import Run

GROUP = "studio9.trainers"
"""The entry-point group in which a package announces its Framework."""


class Detector(Protocol):
    """A model that finds boxes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""

    @property
    def thresholds(self) -> Thresholds:
        """Those that are stored with it."""

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """Boxes of at least this confidence, in pixels of each picture; the pictures come back in order."""

    def save(self, path: Path) -> Written:
        """Write it as a whole; the file loads without running any code of its own."""


@dataclass(frozen=True)
class Trained:
    """What a training has made."""

    detector: Detector
    epochs_done: int
    best_epoch: int | None
    resumed_from: int | None
    input_size: int


class Trainer(Protocol):
    """Trains detectors and loads them again."""

    def train(
        self,
        run: Run,
        config: TrainingConfig,
        train: PictureSet,
        val: PictureSet,
        final_pictures: int,
        begin: Path | None,
    ) -> Trained:
        """Train, telling progress, metrics and checkpoints; goes on from `run.checkpoint` where there is one.

        `final_pictures`: how many the caller will predict afterwards, for the estimate of the remaining time.
        `begin`: a model file whose fitting weights to begin with. Raises Stopped when told to stop, UserError
        for what the user can mend.
        """

    def load(self, path: Path, run: Run) -> Detector:
        """Load a model file. Raises UserError when it is not one, or of another framework."""


@dataclass(frozen=True)
class Framework:
    """What an entry point names: data for the catalogue, and where the trainer is once it is needed."""

    name: str
    architectures: tuple[Architecture, ...]
    heads: tuple[Head, ...]
    tasks: tuple[TaskKind, ...]
    trainer: Callable[[], Trainer]


def frameworks() -> dict[str, Framework]:
    """All frameworks of this environment, by name."""
    found = [point.load() for point in entry_points(group=GROUP)]
    return {framework.name: framework for framework in sorted(found, key=lambda one: one.name)}


def catalogue() -> Catalogue:
    """What this environment can do; imports no framework."""
    own = version("studio9-trainers")
    known = [
        Catalogue(version=own, architectures=one.architectures, heads=one.heads, tasks=one.tasks)
        for one in frameworks().values()
    ]
    return union(known)


def get_trainer(framework: str, task: str = "detect") -> Trainer:
    """The trainer of a framework for a task. Raises Unsupported, naming what there is."""
    known = frameworks()
    if framework not in known:
        raise Unsupported(f"framework = {framework!r}: it is not installed; there are {', '.join(known) or 'none'}.")
    if task != "detect":
        raise Unsupported(f"task = {task!r}: {framework} can do detect here.")
    return known[framework].trainer()
