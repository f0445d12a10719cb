"""YOLO behind the Trainer interface: the framework owns the loop."""

import math
from pathlib import Path
from typing import Any

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.marks import point_names
from studio9_trainers.imports import importing
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.run import Run
from studio9_trainers.sizes import fitting_size
from studio9_trainers.trainer import Order, Trained
from studio9_trainers.yolo.framework import FRAMEWORK, HEADS, NAME
from studio9_trainers.yolo.quiet import ultralytics

LARGEST = 640
"""The input size that is chosen when none is given is at most this."""
FEW_STEPS = 200
"""The smallest models, begun with random weights, found nothing after 100 steps on pages of digits, and 0.95 of mAP50
after 240."""


class YoloTrainer:
    """Models of the YOLO family, trained by Ultralytics."""

    def __init__(self, task: Task, order: Order) -> None:
        self._task, self._order = task, order

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return next(one for one in FRAMEWORK.capabilities() if one.task == self._task)

    def train(self) -> Trained:
        """See Trainer.train."""
        run = self._order.run
        config, material = self._order.training
        ultralytics(run.folder.scratch, run.threads)
        with importing():  # Only now: importing these imports the package.
            from studio9_trainers.files import ModelFile, load_model
            from studio9_trainers.state.training import load_state
            from studio9_trainers.yolo.detector import detector
            from studio9_trainers.yolo.fit import Fit
            from studio9_trainers.yolo.weights import PIXELS, POINTS

        run.device = device()
        labels = tuple(sorted({*material.train.labels, *material.val.labels}))
        points = point_names(material.train)
        input_size = config.input_size or fitting_size(material.train, LARGEST)
        state = load_state(run.checkpoint, NAME, config, labels) if run.checkpoint else None
        weights = load_model(material.begin, NAME, self._task).state if material.begin else None
        if weights is None and state is None:
            _count_steps(run, config, len(material.train))
        effective: dict[str, Any] = {"effective_batch": config.batch_size * run.world, "deterministic": True}
        if state is not None and state.place.epoch >= config.epochs:  # it died after its last epoch
            best, best_epoch, done = state.best_weights, state.place.best_epoch, state.place.epoch
        else:
            fit = Fit(run, config, (material.train, material.val), labels, input_size, state, weights, points)
            with fit.checkpoints:
                fit.train()
            best, best_epoch, done = fit.best, fit.best_epoch, fit.epochs_done
            effective |= fit.effective
        file = ModelFile(
            framework=NAME,
            task=self._task,
            architecture=config.architecture,
            head=HEADS[self._task],
            labels=labels,
            input_size=input_size,
            thresholds=config.thresholds,
            state=best,
            options={POINTS: points} if points else {},
            pixels=PIXELS,
        )
        return Trained(
            model=detector(file, run.device),
            epochs_done=done,
            best_epoch=best_epoch,
            resumed_from=state.place.epoch if state else None,
            input_size=input_size,
            effective=effective,
        )

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        run = self._order.run
        ultralytics(run.folder.scratch, run.threads)
        from studio9_trainers.files import load_model
        from studio9_trainers.yolo.detector import detector

        run.device = device()
        return detector(load_model(path, NAME, self._task), run.device)


def _count_steps(run: Run, config: TrainingConfig, pictures: int) -> None:
    steps = config.epochs * math.ceil(pictures / (config.batch_size * run.world))
    if steps < FEW_STEPS:
        run.warn(
            "few_steps",
            f"{steps} steps ({config.epochs} epochs of {pictures} pictures, {config.batch_size} a step) are few to"
            " learn from random weights: give more epochs, a smaller batch, or a model to begin with.",
        )
