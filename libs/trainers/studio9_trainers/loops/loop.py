"""One training loop for every framework that brings a model but no loop.

A framework fills in what is its own: `create_model`, `losses`, `validate`, `export_model`. A user's own trainer does
the same (studio9_trainers.custom).
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.distributed.together import Together
from studio9_trainers.errors import BadInput, Diverged
from studio9_trainers.events import BatchDone, BestSoFar, EpochEnded, EpochStarted, TrainingStopped, Validated
from studio9_trainers.files import State, copied
from studio9_trainers.loops.average import Average
from studio9_trainers.loops.batches import Batch, PictureBatches
from studio9_trainers.loops.optimise import make_optimizer, parameter_groups, rate_factor, set_rates
from studio9_trainers.loops.pixels import Variation
from studio9_trainers.loops.precision import Precision
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.sizes import fitting_size
from studio9_trainers.state.checkpoints import Checkpoints
from studio9_trainers.state.seeds import deterministic, reseed
from studio9_trainers.state.training import Place, TrainingState, load_state
from studio9_trainers.trainer import Order, Trained
from studio9_trainers.truth import labels_of

GRACE_S = 5.0
"""Told to stop, a loop writes its state only if a batch takes less than this: the last one is durable anyway."""


class Loop(ABC):
    """One training. Bound to its settings and pictures by `order`; `train()` runs it once."""

    framework: ClassVar[str]
    largest: ClassVar[int] = 640
    """The input size that is chosen when none is given is at most this."""

    def __init__(self, task: Task, order: Order) -> None:
        self.task, self.order, self.run = task, order, order.run
        self.run.device = device()
        self.labels: tuple[str, ...] = ()
        self.input_size = 0
        self.together = Together(self.run)
        self.clock: Callable[[], float] = time.monotonic
        """Seconds, by which states inside epochs are due."""

    # What a framework brings

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""

    @abstractmethod
    def load(self, path: Any) -> Model:
        """See Trainer.load."""

    @abstractmethod
    def create_model(self) -> torch.nn.Module:
        """A fresh model for `labels` and `input_size`, with the weights to begin with, where there are some."""

    @abstractmethod
    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """The parts of a batch's loss; their sum is what is made small. `batch.pixels` lie on the device."""

    @abstractmethod
    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        """Figures on the held-back pictures, and the fitness by which epochs are compared (more is better)."""

    @abstractmethod
    def export_model(self, weights: State) -> Model:
        """The model to deliver, with these weights."""

    def is_backbone(self, name: str) -> bool:
        """Whether a parameter belongs to the backbone, which has a rate of its own and may be frozen."""
        return name.startswith("backbone.")

    def frozen_modules(self, model: torch.nn.Module) -> Iterable[torch.nn.Module]:
        """The modules that stay in evaluation mode while the backbone is frozen (their norms too)."""
        return [part for name, part in model.named_children() if self.is_backbone(f"{name}.")]

    # What is the same for all

    def prepare_dataset(self) -> None:
        """Labels, input size and batches."""
        config, material = self.order.training
        run = self.run
        self.labels = tuple(sorted({*labels_of(self.task, material.train), *labels_of(self.task, material.val)}))
        self.input_size = config.input_size or fitting_size(material.train, self.largest)
        variation = Variation(float(config.options.get("mirror", 0.0)), float(config.options.get("scale", 0.0)))
        where: dict[str, Any] = {"side": self.input_size, "batch_size": config.batch_size, "threads": run.threads}
        self.train_batches = PictureBatches(
            material.train.pictures, seed=config.seed, variation=variation, rank=run.rank, world=run.world, **where
        )
        self.val_batches = PictureBatches(material.val.pictures, seed=config.seed, **where)
        self.fixed_batches = PictureBatches(material.train.pictures, seed=config.seed, **where)
        """All that is learned from, in order and unvaried: for what is computed once."""

    def train(self) -> Trained:
        """See Trainer.train."""
        config, _ = self.order.training
        torch.set_num_threads(self.run.threads)
        deterministic(config.loop.deterministic)
        self.prepare_dataset()
        if len(self.train_batches) == 0:
            raise BadInput("train: there is no picture to learn from: add some.")
        reseed(config.seed, "model")
        self.model = self.create_model().to(self.run.device)
        if config.freeze_backbone:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(not self.is_backbone(name))
        self.optimizer = make_optimizer(config.optimizer, parameter_groups(self.model, config, self.is_backbone))
        self.precision = Precision(config.loop.precision, self.run.device)
        self.average = Average(self.model, config.loop.average_decay if config.loop.average else 0.0)
        self.together.share_norms(self.model)
        self.checkpoints = Checkpoints(self.run)
        self.place = Place(0)
        self.best: State = {}
        resumed = self._resume()
        reason: Literal["finished", "patience"] = "finished"
        with self.checkpoints:
            while self.place.epoch < config.epochs:
                epoch = self.place.epoch
                losses = self.train_epoch(epoch, self.place.step)
                self._after_epoch(epoch, losses)
                if 0 < config.patience <= self.place.epoch - self.place.best_epoch:
                    reason = "patience"
                    break
        self.run.tell(TrainingStopped(self.place.epoch, reason))
        return Trained(
            model=self.export_model(self.best or copied(self.average.model)),
            epochs_done=self.place.epoch,
            best_epoch=self.place.best_epoch or None,
            resumed_from=resumed,
            input_size=self.input_size,
            effective=self._effective(),
        )

    def train_epoch(self, epoch: int, done: int) -> dict[str, float]:
        """Learn from the batches of an epoch (from 0) after the first `done`; the means of the losses."""
        config, _ = self.order.training
        batches, loop = len(self.train_batches), config.loop
        steps = config.epochs * batches
        warmup = round(min(loop.warmup_epochs, config.epochs / 3) * batches)
        self.model.train()
        if config.freeze_backbone:
            for part in self.frozen_modules(self.model):
                part.eval()
        self.run.tell(EpochStarted(epoch + 1, config.epochs, batches, done))
        sums = dict(self.place.sums) if done else {}
        written = self.clock()
        for number, batch in enumerate(self.train_batches.epoch(epoch, done), done):
            began = self.clock()
            reseed(config.seed, epoch, self.run.rank, number)
            self._rate = set_rates(self.optimizer, rate_factor(epoch * batches + number, steps, warmup, loop))
            ends = (number + 1) % loop.accumulate == 0 or number + 1 == batches
            for key, value in self._step(batch, ends).items():
                sums[key] = sums.get(key, 0.0) + value
            self.checkpoints.settle()
            self.run.tell(BatchDone(epoch + 1, number + 1, batches))
            present = self.clock()
            told = self.run.stop.wanted and present - began < GRACE_S
            due = 0 < loop.state_every_s <= present - written
            if ends and number + 1 < batches and self.together.anyone(told or due):
                self.place = replace(
                    self.place, epoch=epoch, step=number + 1, sums=sums, average_updates=self.average.updates
                )
                self.save_checkpoint()
                written = present
            self.together.check_stop()
        return {key: value / batches for key, value in sums.items()}

    def save_checkpoint(self) -> None:
        """Write the state of this place while the next batch is computed; only the leading process does."""
        if not self.run.leads:
            return
        config, _ = self.order.training
        state = TrainingState(
            framework=self.framework,
            config=config,
            labels=self.labels,
            place=self.place,
            model=self.model.state_dict(),
            average=self.average.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scaler=self.precision.state(),
            best=None if self.place.step == 0 and self.place.best_epoch == self.place.epoch else self.best or None,
        )
        self.checkpoints.write(state)

    def _step(self, batch: Batch, ends: bool) -> dict[str, float]:
        config, _ = self.order.training
        on_device = Batch(batch.pixels.to(self.run.device), batch.pictures, batch.placed, batch.side)
        with self.precision.cast() if self.precision.mixed else nullcontext():
            parts = self.losses(self.model, on_device)
            total = torch.stack([value.float() for value in parts.values()]).sum()
        told = self.together.mean(torch.stack([value.detach().float().sum() for value in parts.values()]))
        if not math.isfinite(sum(told)):
            raise Diverged
        self.precision.backward(total / config.loop.accumulate)
        if ends:
            self.together.before_step(self.model, mean=True)
            self.precision.step(self.optimizer, self.model, config.loop.clip_norm)
            self.average.update(self.model)
        return dict(zip(parts, told, strict=True))

    def _after_epoch(self, epoch: int, losses: dict[str, float]) -> None:
        self.run.tell(EpochEnded(epoch + 1, losses, self._rate))
        self.together.compare(epoch + 1, self.model, self.average.model)
        figures, fitness = self.validate(self.average.model)
        fitness = self.together.leaders(fitness)
        self.run.tell(Validated(epoch + 1, figures, fitness))
        self.place = replace(self.place, epoch=epoch + 1, step=0, sums={}, average_updates=self.average.updates)
        if fitness > self.place.best_fitness or not self.best:
            self.place = replace(self.place, best_fitness=fitness, best_epoch=epoch + 1)
            self.best = copied(self.average.model)
            self.run.tell(BestSoFar(epoch + 1, fitness))
        self.save_checkpoint()
        self.together.check_stop()

    def _resume(self) -> int | None:
        if self.run.checkpoint is None:
            return None
        config, _ = self.order.training
        state = load_state(self.run.checkpoint, self.framework, config, self.labels)
        self.model.load_state_dict(state.model)
        self.average.model.load_state_dict(state.average)
        self.average.updates = state.place.average_updates
        self.optimizer.load_state_dict(state.optimizer)
        self.precision.load(state.scaler)
        self.place = state.place
        self.best = state.best_weights if state.place.best_epoch else {}
        return state.place.epoch

    def _effective(self) -> dict[str, Any]:
        config, _ = self.order.training
        return {
            "effective_batch": config.batch_size * config.loop.accumulate * self.run.world,
            "optimizer": type(self.optimizer).__name__,
            "rates": sorted({float(group["base_rate"]) for group in self.optimizer.param_groups}),
            "precision": self.precision.name,
            "deterministic": config.loop.deterministic,
            "parameters": sum(one.numel() for one in self.model.parameters()),
        }
