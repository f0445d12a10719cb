"""The Trainer: one call for every framework and task.

    get_trainer("transfer", "classify", config={...}, train=pictures, folder="out").train()

There are two kinds behind it: loops that are ours (`studio9_trainers.loops`) and frameworks that bring their own
(`studio9_trainers.yolo`). Both tell the same events, write the same kind of state and go on from it exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.config import TrainingConfig, check_class_weights, training_config
from studio9_trainers.data.dataset import PictureSet, not_parted, split_off
from studio9_trainers.errors import BadInput, Unsupported, UserError
from studio9_trainers.events import Listener
from studio9_trainers.extensions import callbacks
from studio9_trainers.frameworks import Framework, catalogue, frameworks
from studio9_trainers.imports import importing
from studio9_trainers.models import Model
from studio9_trainers.run import Run, open_run
from studio9_trainers.telling import Teller


@dataclass(frozen=True)
class Trained:
    """What a training has made."""

    model: Model
    epochs_done: int
    best_epoch: int | None
    resumed_from: int | None
    input_size: int
    effective: Mapping[str, Any]
    """What was really used where the settings leave it to the trainer: rates, optimiser, batch, seeds, precision."""


@dataclass(frozen=True)
class Material:
    """What to train on: pictures to learn from, pictures held back, and weights to begin with."""

    train: PictureSet
    val: PictureSet
    begin: Path | None = None


@dataclass(frozen=True)
class Order:
    """All that a trainer is bound to. `config` and `material` are none where it only loads models."""

    run: Run
    config: TrainingConfig | None = None
    material: Material | None = None

    @property
    def training(self) -> tuple[TrainingConfig, Material]:
        """Settings and pictures. Raises UserError when either is missing."""
        if self.config is None or self.material is None:
            raise UserError("get_trainer: to train, give config and train.", "bad_parameters")
        return self.config, self.material


class Trainer(Protocol):
    """Trains models of one framework for one task, and loads them again."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def train(self) -> Trained:
        """Train, telling events and writing states; goes on from `run.checkpoint` where there is one.

        Raises Stopped when told to stop, UserError for what the user can mend.
        """

    def load(self, path: Path) -> Model:
        """Load a model file. Raises UserError when it is not one, or of another framework or task."""


def get_trainer(
    framework: str,
    task: Task = "detect",
    *,
    config: TrainingConfig | Mapping[str, Any] | None = None,
    train: PictureSet | None = None,
    val: PictureSet | None = None,
    begin: Path | None = None,
    resume: Path | None = None,
    run: Run | None = None,
    folder: Path | str = "studio9-run",
    final_pictures: int = 0,
    on_event: Listener | Iterable[Listener] = (),
) -> Trainer:
    """The trainer of a framework for a task, bound to its settings and pictures.

    `config`: settings, or parameters as a request carries them (studio9_task.parameters.TrainParameters).
    `train`, `val`: pictures; without `val` so many of `train` are held back as the settings say. `begin`: a model
    file whose fitting weights to begin with; `resume`: a checkpoint to go on from. `run`: where files go and who
    hears; without one, `folder`. `final_pictures`: how many are predicted afterwards, for the remaining time.

    Raises Unsupported, naming what there is, and UserError for settings that can't be used.
    """
    known = frameworks()
    if framework not in known:
        raise Unsupported(f"framework = {framework!r}: it is not installed; there are {', '.join(known) or 'none'}.")
    found = known[framework]
    _check_task(found, task)
    at_work = run if run is not None else open_run(folder)
    if resume is not None:
        at_work.checkpoint = resume
    if isinstance(config, Mapping):
        config = training_config(config, catalogue(), at_work.seed, begun=begin is not None)
    if config is not None:
        check_class_weights(config, found.heads)
    material = None
    if train is not None:
        if config is None:
            raise UserError("get_trainer: to train, give config too.", "bad_parameters")
        material = _material(at_work, config, train, val, begin)
        # Our own listener stays the first: what others raise must not hide what was told.
        at_work.listeners.append(Teller(at_work, config.epochs, len(material.train), len(material.val), final_pictures))
        at_work.listeners.extend(callbacks(at_work, config))
    at_work.listeners.extend([on_event] if callable(on_event) else on_event)
    with importing():
        return found.trainer(task, Order(at_work, config, material))


def _check_task(framework: Framework, task: Task) -> None:
    offered = [one.task for one in framework.capabilities()]
    if task not in offered:
        raise Unsupported(f"task = {task!r}: {framework.name} can do {', '.join(offered) or 'nothing'} here.")


def _material(
    run: Run, config: TrainingConfig, train: PictureSet, val: PictureSet | None, begin: Path | None
) -> Material:
    if len(train) == 0:
        raise BadInput(f"{train.name} has no pictures: add some.")
    from studio9_trainers.data.marks import marked  # needs OpenCV, which telling the catalogue must not

    train = marked(config.task, train)
    if val is not None:
        return Material(train, marked(config.task, val), begin)
    fitted, held = split_off(train, config.validation_fraction)
    if len(held) == len(train):
        run.warn("no_validation", f"{not_parted(train)} They validate themselves.")
    return Material(fitted, held, begin)
