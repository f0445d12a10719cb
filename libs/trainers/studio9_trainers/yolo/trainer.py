"""YOLO behind the Trainer interface."""

from pathlib import Path

from studio9_trainers.config import TrainingConfig, multiple_of_32
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.run import Run
from studio9_trainers.trainer import Detector, Trained
from studio9_trainers.yolo.quiet import ultralytics

LARGEST = 640
"""The input size that is chosen when none is given is at most this."""


class YoloTrainer:
    """Detectors of the YOLO family, trained by Ultralytics."""

    def train(
        self,
        run: Run,
        config: TrainingConfig,
        train: PictureSet,
        val: PictureSet,
        final_pictures: int,
        begin: Path | None,
    ) -> Trained:
        """See Trainer.train."""
        ultralytics(run.folder.scratch, run.threads)
        # Only now: importing these imports the package.
        from studio9_trainers.yolo.arguments import device
        from studio9_trainers.yolo.detector import YoloDetector
        from studio9_trainers.yolo.fit import Fit
        from studio9_trainers.yolo.state import load_state
        from studio9_trainers.yolo.watch import Watch
        from studio9_trainers.yolo.weights import ModelFile, load_model

        run.device = device()
        labels = tuple(sorted({*train.labels, *val.labels}))
        input_size = config.input_size or fitting_size(train)
        watch = Watch(run, config.epochs, len(train), len(val), final_pictures)
        state = load_state(run.checkpoint, config, labels) if run.checkpoint else None
        weights = load_model(begin).state if begin else None
        if state is not None and state.epoch >= config.epochs:  # it died after its last epoch
            best, best_epoch, done = state.average if state.best is None else state.best, state.best_epoch, state.epoch
        else:
            fit = Fit(run, config, (train, val), labels, input_size, watch, state, weights)
            fit.train()
            best, best_epoch, done = fit.best, fit.best_epoch, fit.epochs_done
        file = ModelFile(config.architecture, labels, input_size, config.thresholds, best)
        return Trained(
            detector=YoloDetector(file, run.device),
            epochs_done=done,
            best_epoch=best_epoch,
            resumed_from=state.epoch if state else None,
            input_size=input_size,
        )

    def load(self, path: Path, run: Run) -> Detector:
        """See Trainer.load."""
        ultralytics(run.folder.scratch, run.threads)
        from studio9_trainers.yolo.arguments import device
        from studio9_trainers.yolo.detector import YoloDetector
        from studio9_trainers.yolo.weights import load_model

        run.device = device()
        return YoloDetector(load_model(path), run.device)


def fitting_size(pictures: PictureSet) -> int:
    """The median longer side of the pictures as a multiple of 32, from 64 to 640 pixels."""
    sides = sorted(max(picture.record.width, picture.record.height) for picture in pictures.pictures)
    return min(LARGEST, multiple_of_32(sides[len(sides) // 2]))
