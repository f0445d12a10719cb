"""Ultralytics' training loop with our data, our checkpoints and our events.

The loop is theirs; what is ours is put in by overriding its methods, so nothing of theirs writes files, draws plots
or calls anybody.
"""

from collections.abc import Callable
from copy import copy
from typing import Any, Literal

import torch
from ultralytics.data.build import InfiniteDataLoader, build_dataloader, seed_worker
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.models.yolo.obb import OBBValidator
from ultralytics.models.yolo.pose import PoseValidator
from ultralytics.models.yolo.segment import SegmentationValidator

from studio9_trainers.augmentation.marks import other_side
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.distributed.together import Together
from studio9_trainers.errors import Diverged
from studio9_trainers.events import BatchDone, BestSoFar, EpochEnded, EpochStarted, TrainingStopped, Validated
from studio9_trainers.files import State, copied, load_fitting
from studio9_trainers.run import Run
from studio9_trainers.state.checkpoints import Checkpoints
from studio9_trainers.state.seeds import reseed, seed_of
from studio9_trainers.state.training import Place, TrainingState
from studio9_trainers.yolo.arguments import arguments
from studio9_trainers.yolo.framework import NAME
from studio9_trainers.yolo.pictures import PictureDataset
from studio9_trainers.yolo.share import Share
from studio9_trainers.yolo.weights import backbone_layers, build

VALIDATORS = {
    "detect": DetectionValidator,
    "segment": SegmentationValidator,
    "pose": PoseValidator,
    "obb": OBBValidator,
}
VALIDATED = {
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
    "val/box_loss": "box_loss",
    "val/cls_loss": "cls_loss",
    "val/dfl_loss": "dfl_loss",
    "metrics/mAP50(M)": "mask_map50",
    "metrics/mAP50-95(M)": "mask_map50_95",
    "metrics/mAP50(P)": "pose_map50",
    "metrics/mAP50-95(P)": "pose_map50_95",
    "val/seg_loss": "mask_loss",
    "val/pose_loss": "pose_loss",
    "val/kobj_loss": "visibility_loss",
    "val/angle_loss": "angle_loss",
}
"""The package's keys: ours. Its mAP differs in the third digit from COCO's, which the result holds; of turned boxes it
is that of the turned boxes."""


class Fit(DetectionTrainer):
    """One training. `best` holds the weights to deliver once `train()` has returned."""

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        sets: tuple[PictureSet, PictureSet],
        labels: tuple[str, ...],
        input_size: int,
        state: TrainingState | None,
        begin: State | None,
        points: tuple[str, ...] = (),
    ) -> None:
        self._run, self._config = run, config
        self._sets, self._labels, self._points = sets, labels, points
        self._state, self._begin = state, begin
        self.checkpoints, self._together = Checkpoints(run), Together(run)
        self.best: State = {}
        self.best_epoch = 0
        self.epochs_done = 0
        self._batch = 0
        super().__init__(overrides=arguments(run, config, input_size))
        torch.set_num_threads(run.threads)  # the line above has put it to one less than the cores

    # What it is made of

    def get_dataset(self) -> dict[str, Any]:
        """Our pictures in place of a data set's description."""
        names = dict(enumerate(self._labels))
        train, val = self._sets
        data = {"train": train, "val": val, "names": names, "nc": len(names), "channels": 3}
        if self._points:
            sides = [other_side(name) for name in self._points]
            places = [self._points.index(one) if one in self._points else at for at, one in enumerate(sides)]
            data |= {"kpt_shape": [len(self._points), 3], "flip_idx": places}
        return data

    def set_model_attributes(self) -> None:
        """What the package's losses and validators ask of a model."""
        super().set_model_attributes()
        if self._points:
            self.model.kpt_shape = self.data["kpt_shape"]
            self.model.kpt_names = {number: list(self._points) for number in range(len(self._labels))}

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
        """A fresh model, with the weights to begin with where some were given."""
        model = build(self._config.architecture, self._config.task, len(self._labels), len(self._points))
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
            self._points,
            data=self.data,
            task=self._config.task,
            imgsz=self.args.imgsz,
            augment=fitting,
            hyp=self.args,
            rect=not fitting,
            batch_size=batch_size,
            stride=self.stride,
            pad=0.0 if fitting else 0.5,
        )
        workers = self.args.workers if fitting else 0
        if fitting and not self._together.alone:
            share = Share(len(dataset), self._config.seed, self._run.rank, self._run.world)
            return InfiniteDataLoader(
                dataset, batch_size=min(batch_size, len(share)), sampler=share, num_workers=workers,
                collate_fn=dataset.collate_fn, worker_init_fn=seed_worker, generator=torch.Generator(),
                pin_memory=self.device.type == "cuda",
            )  # fmt: skip
        return build_dataloader(
            dataset, batch=batch_size, workers=workers, shuffle=fitting, rank=rank, device=self.device
        )

    def get_validator(self) -> Any:
        """The framework's own validator, which chooses the best epoch."""
        check: dict[str, list[Callable[[Any], None]]] = {"on_val_batch_start": [lambda _: self._together.check_stop()]}
        validator = VALIDATORS[self._config.task]
        return validator(self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=check)

    def build_optimizer(self, model: Any, *args: Any, **options: Any) -> Any:
        """The framework's groups, each parted in backbone and head where their rates differ."""
        optimizer = super().build_optimizer(model, *args, **options)
        if self._config.backbone_rate == self._config.head_rate:
            return optimizer
        layers = list(model.model)[: backbone_layers(self._config.architecture, self._config.task)]
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
            self.ema.updates = state.place.average_updates
            self.optimizer.load_state_dict(state.optimizer)
            self.scaler.load_state_dict(state.scaler)
            self.best_fitness = self.stopper.best_fitness = state.place.best_fitness
            self.best_epoch = self.stopper.best_epoch = state.place.best_epoch
            self.best = state.best_weights
            self.start_epoch = self.epochs_done = state.place.epoch
        # The faster order of colours and places; set once the tensors are loaded, alike for fresh and resumed.
        self.model.to(memory_format=torch.channels_last)
        self.ema.ema.to(memory_format=torch.channels_last)

    # What happens on the way

    def run_callbacks(self, event: str) -> None:
        """Only our own: the package's integrations with other services hang on this."""
        match event:
            case "on_train_epoch_start":
                self._begin_epoch()
            case "on_train_batch_end":
                self._batch += 1
                self.checkpoints.settle()
                self._run.tell(BatchDone(self.epoch + 1, self._batch, len(self.train_loader)))
                self._together.check_stop()
            case "on_train_end":
                reason: Literal["finished", "patience"] = (
                    "finished" if self.epochs_done >= self._config.epochs else "patience"
                )
                self.checkpoints.settle()
                self._run.tell(TrainingStopped(self.epochs_done, reason))

    def _begin_epoch(self) -> None:
        """Make every random choice of an epoch a function of seed, epoch and rank alone."""
        parts = (self._config.seed, self.epoch, self._run.rank)
        reseed(*parts)
        self.train_loader.generator.manual_seed(seed_of(*parts))
        if isinstance(self.train_loader.sampler, Share):
            self.train_loader.sampler.epoch = self.epoch
        self.train_loader.dataset.forget()
        self.train_loader.reset()
        self._batch = 0
        self._run.tell(EpochStarted(self.epoch + 1, self._config.epochs, len(self.train_loader)))

    def _tell_epoch(self) -> None:
        losses = {key.removeprefix("train/"): float(value) for key, value in self.label_loss_items(self.tloss).items()}
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        self._run.tell(EpochEnded(self.epoch + 1, losses, rate))
        figures = {ours: float(self.metrics[theirs]) for theirs, ours in VALIDATED.items() if theirs in self.metrics}
        self._run.tell(Validated(self.epoch + 1, figures, float(self.fitness)))

    def optimizer_step(self) -> None:
        """A step of all processes: a loss is the sum over its pictures, so the whole batch's gradient is the sum."""
        self._together.before_step(self.model, mean=False)
        super().optimizer_step()

    def validate(self) -> Any:
        """Judge the average; where there are several processes, the leading one's judgement counts."""
        self._together.compare(self.epoch + 1, self.model, self.ema.ema)
        before = self.best_fitness
        metrics, fitness = super().validate()
        if not self._together.alone:
            fitness = self._together.leaders(float(fitness))
            self.best_fitness = fitness if before is None else max(before, fitness)
        return metrics, fitness

    def _build_train_pipeline(self) -> None:
        if self.optimizer is not None and not self._together.alone:
            raise MemoryError  # again, for smaller batches: the others would wait for more of them
        super()._build_train_pipeline()

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self._together.anyone(self.loss is not None and not self.loss.isfinite()):
            raise Diverged
        return False

    def save_model(self) -> bool:
        """Our own state."""
        self.epochs_done = self.epoch + 1
        self._tell_epoch()
        if self.best_fitness == self.fitness or not self.best:
            self.best, self.best_epoch = copied(self.ema.ema), self.epochs_done
            self._run.tell(BestSoFar(self.epochs_done, float(self.best_fitness)))
        place = Place(
            epoch=self.epochs_done,
            average_updates=self.ema.updates,
            best_fitness=float(self.best_fitness),
            best_epoch=self.best_epoch,
        )
        if self._run.leads:
            state = TrainingState(
                framework=NAME,
                config=self._config,
                labels=self._labels,
                place=place,
                model=self.model.state_dict(),
                average=self.ema.ema.state_dict(),
                optimizer=self.optimizer.state_dict(),
                scaler=self.scaler.state_dict(),
                best=None if self.best_epoch == self.epochs_done else self.best,
            )
            self.checkpoints.write(state)
        return True

    @property
    def effective(self) -> dict[str, Any]:
        """What the framework made of the settings."""
        return {
            "effective_batch": self.batch_size * max(1, round(self.args.nbs / self.batch_size)) * self._run.world,
            "optimizer": type(self.optimizer).__name__,
            "rates": sorted({group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups}),
            "precision": str(self.args.amp) if self.args.amp else "fp32",
        }

    def save_metrics(self, metrics: Any) -> None:
        """Events tell them; no file of the package's own."""

    def final_eval(self) -> None:
        """Evaluation is ours and comes after."""
