"""Ultralytics' training loop with our data, our checkpoints and our events.

The loop is theirs; what is ours is put in by overriding its methods, so nothing of theirs writes files, draws plots
or calls anybody.
"""

import random
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.data.build import build_dataloader
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator

from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import Diverged
from studio9_trainers.run import Run
from studio9_trainers.yolo.arguments import arguments
from studio9_trainers.yolo.pictures import PictureDataset
from studio9_trainers.yolo.state import TrainingState, save_state
from studio9_trainers.yolo.watch import Watch
from studio9_trainers.yolo.weights import State, backbone_layers, build, copied, load_fitting

KEPT = 2
"""Checkpoints on the disk: the last, and the one before it while it may still be uploading."""


class Fit(DetectionTrainer):
    """One training. `best` holds the weights to deliver once `train()` has returned."""

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        sets: tuple[PictureSet, PictureSet],
        labels: tuple[str, ...],
        input_size: int,
        watch: Watch,
        state: TrainingState | None,
        begin: State | None,
    ) -> None:
        self._run, self._config, self._watch = run, config, watch
        self._sets, self._labels = sets, labels
        self._state, self._begin = state, begin
        self._checkpoints: list[Path] = []
        self.best: State = {}
        self.best_epoch = 0
        self.epochs_done = 0
        super().__init__(overrides=arguments(run, config, input_size))
        torch.set_num_threads(run.threads)  # the line above has put it to one less than the cores

    # What it is made of

    def get_dataset(self) -> dict[str, Any]:
        """Our pictures in place of a data set's description."""
        names = dict(enumerate(self._labels))
        train, val = self._sets
        return {"train": train, "val": val, "names": names, "nc": len(names), "channels": 3}

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
        """A fresh model, with the weights to begin with where some were given."""
        model = build(self._config.architecture, len(self._labels))
        if self._begin is not None and self._state is None:
            fitting = load_fitting(model, self._begin)
            self._run.events.log(f"{fitting} of {len(model.state_dict())} tensors of the given model fit.")
        return model

    def get_dataloader(self, dataset_path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Batches of one of our picture sets."""
        fitting = mode == "train"
        dataset = PictureDataset(
            dataset_path,
            self._labels,
            data=self.data,
            imgsz=self.args.imgsz,
            augment=fitting,
            hyp=self.args,
            rect=not fitting,
            batch_size=batch_size,
            stride=self.stride,
            pad=0.0 if fitting else 0.5,
        )
        workers = self.args.workers if fitting else 0
        return build_dataloader(
            dataset, batch=batch_size, workers=workers, shuffle=fitting, rank=rank, device=self.device
        )

    def get_validator(self) -> Any:
        """The framework's own validator, which chooses the best epoch."""
        check: dict[str, list[Callable[[Any], None]]] = {"on_val_batch_start": [lambda _: self._run.stop.check()]}
        return DetectionValidator(self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=check)

    def build_optimizer(self, model: Any, *args: Any, **options: Any) -> Any:
        """The framework's groups, each parted in backbone and head where their rates differ."""
        optimizer = super().build_optimizer(model, *args, **options)
        if self._config.backbone_rate == self._config.head_rate:
            return optimizer
        layers = list(model.model)[: backbone_layers(self._config.architecture)]
        backbone = {id(parameter) for layer in layers for parameter in layer.parameters()}
        parted = []
        for group in optimizer.param_groups:
            for rate, inside in ((self._config.backbone_rate, True), (self._config.head_rate, False)):
                members = [one for one in group["params"] if (id(one) in backbone) is inside]
                if members:
                    parted.append({**group, "params": members, "lr": rate})
        optimizer.param_groups[:] = parted
        return optimizer

    def resume_training(self, ckpt: Any) -> None:
        """Go on from our own state; called when model, average and optimiser are there."""
        state = self._state
        if state is not None:
            self.model.load_state_dict(state.model)
            self.ema.ema.load_state_dict(state.average)
            self.ema.updates = state.average_updates
            self.optimizer.load_state_dict(state.optimizer)
            self.scaler.load_state_dict(state.scaler)
            self.best_fitness = self.stopper.best_fitness = state.best_fitness
            self.best_epoch = self.stopper.best_epoch = state.best_epoch
            self.best = state.average if state.best is None else state.best
            self.start_epoch = self.epochs_done = state.epoch
        # The faster order of colours and places; set once the tensors are loaded, alike for fresh and resumed.
        self.model.to(memory_format=torch.channels_last)
        self.ema.ema.to(memory_format=torch.channels_last)

    # What happens on the way

    def run_callbacks(self, event: str) -> None:
        """Only our own: the package's integrations with other services hang on this."""
        match event:
            case "on_train_start":
                self._watch.started(self.start_epoch, len(self.train_loader))
            case "on_train_epoch_start":
                self._begin_epoch()
            case "on_train_batch_end":
                self._watch.batch_done(self.epoch)
                self._run.stop.check()
            case "on_fit_epoch_end":
                losses = self.label_loss_items(self.tloss)
                rates = [group["lr"] for group in self.optimizer.param_groups]
                self._watch.epoch_done(self.epoch, losses, self.metrics, max(rates))

    def _begin_epoch(self) -> None:
        """Make every random choice of an epoch a function of seed and epoch alone."""
        seed = (self._config.seed * 1_000_003 + self.epoch) % 2**32
        random.seed(seed)
        np.random.seed(seed)  # the package's augmentation draws from this one
        torch.manual_seed(seed)
        self.train_loader.generator.manual_seed(seed)
        self.train_loader.dataset.forget()
        self.train_loader.reset()
        self._watch.epoch_begun(self.epoch)

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not self.loss.isfinite():
            raise Diverged
        return False

    def save_model(self) -> bool:
        """Our own state, durable, then told."""
        self.epochs_done = self.epoch + 1
        average = copied(self.ema.ema)
        improved = self.best_fitness == self.fitness
        if improved or not self.best:
            self.best, self.best_epoch = average, self.epochs_done
        state = TrainingState(
            epoch=self.epochs_done,
            config=self._config,
            labels=self._labels,
            model=copied(self.model),
            average=average,
            average_updates=self.ema.updates,
            optimizer=self.optimizer.state_dict(),
            scaler=self.scaler.state_dict(),
            best_fitness=float(self.best_fitness),
            best_epoch=self.best_epoch,
            best=None if self.best_epoch == self.epochs_done else self.best,
        )
        with self._run.timed("model_saving"):
            path = self._run.folder.outputs / "checkpoints" / f"epoch-{self.epochs_done:04d}.pt"
            written = save_state(path, state)
        self._run.events.checkpoint(written, epoch=self.epochs_done)
        self._checkpoints.append(path)
        while len(self._checkpoints) > KEPT:
            self._checkpoints.pop(0).unlink(missing_ok=True)
        return True

    def save_metrics(self, metrics: Any) -> None:
        """Events tell them; no file of the package's own."""

    def final_eval(self) -> None:
        """Evaluation is ours and comes after."""
