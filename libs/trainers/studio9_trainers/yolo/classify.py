"""YOLO's classifiers: the package's networks in the loop that is ours."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.errors import BadModel
from studio9_trainers.files import ModelFile, State, load_fitting, load_model
from studio9_trainers.loops.pixels import PIXELS
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.transfer.models import PictureClassifier
from studio9_trainers.transfer.trainer import Classification
from studio9_trainers.yolo.framework import CLASSIFIER, FRAMEWORK, NAME
from studio9_trainers.yolo.quiet import ultralytics
from studio9_trainers.yolo.weights import model_file


class YoloNetwork(nn.Module):
    """The layers before the last as `backbone`, the last as `head`; gives scores before the softmax."""

    def __init__(self, architecture: str, labels: int) -> None:
        super().__init__()
        from ultralytics.nn.tasks import ClassificationModel

        layers: Any = ClassificationModel(model_file(architecture, "classify"), ch=3, nc=labels, verbose=False).model
        self.backbone = nn.Sequential(*list(layers)[:-1])
        self.head = Scores(layers[-1])

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The backbone's last map."""
        return self.backbone(pixels)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """All the way."""
        return self.head(self.features(pixels))


class Scores(nn.Module):
    """The package's head gives its scores alone while training, else behind probabilities."""

    def __init__(self, classify: Any) -> None:
        super().__init__()
        self.classify = classify

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One score a label."""
        found = self.classify(features)
        return found[1] if isinstance(found, tuple) else found


class YoloClassification(Classification):
    """Trains and loads them."""

    framework = NAME

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return next(one for one in FRAMEWORK.capabilities() if one.task == self.task)

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        self._quiet()
        return self._rebuilt(load_model(path, NAME, self.task))

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        self._quiet()
        config, material = self.order.training
        network = YoloNetwork(config.architecture, len(self.labels))
        if material.begin is not None:
            fitting = load_fitting(network, load_model(material.begin, NAME, self.task).state)
            self.run.events.log(f"{fitting} of {len(network.state_dict())} tensors of the given model fit.")
        return network

    def export_model(self, weights: State) -> Model:
        """See Loop."""
        config, _ = self.order.training
        return self._rebuilt(
            ModelFile(
                framework=NAME,
                task=self.task,
                architecture=config.architecture,
                head=CLASSIFIER,
                labels=self.labels,
                input_size=self.input_size,
                thresholds=config.thresholds,
                state=weights,
                pixels=PIXELS,
            )
        )

    def _rebuilt(self, file: ModelFile) -> Model:
        network = YoloNetwork(file.architecture, len(file.labels))
        try:
            network.load_state_dict(file.state)
        except RuntimeError:
            raise BadModel(f"The model's weights don't fit {file.architecture}: choose another.") from None
        return PictureClassifier(file, network, device())

    def _quiet(self) -> None:
        ultralytics(self.run.folder.scratch, self.run.threads)
