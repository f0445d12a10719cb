"""Detectors of transfer learning in the loop that is ours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.files import ModelFile, State, read_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.detecting import DetectionLoop, Raw, SquareDetector, with_weights
from studio9_trainers.machine import device
from studio9_trainers.transfer.detectors import DetectionNetwork
from studio9_trainers.transfer.framework import capability
from studio9_trainers.transfer.network import backbone_of, backbone_options, load_backbone
from studio9_trainers.transfer.offered import NAME


class TorchvisionDetector(SquareDetector):
    """Boxes as torchvision's detectors give them."""

    def raw(self, pixels: torch.Tensor, limit: int) -> list[Raw]:
        """See SquareDetector."""
        first = self.network.first
        return [(one["boxes"], one["scores"], one["labels"] - first) for one in self.network(pixels)]


class Detection(DetectionLoop):
    """Boxes."""

    framework = NAME
    largest = 512

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return capability(self.task)

    def at_work(self, file: ModelFile, network: torch.nn.Module) -> SquareDetector:
        """See DetectionLoop."""
        return TorchvisionDetector(file, network, device())

    def rebuilt(self, file: ModelFile) -> torch.nn.Module:
        """See DetectionLoop."""
        network = DetectionNetwork(file.architecture, file.head, len(file.labels), file.input_size, file.options)
        return with_weights(network, file, f"{file.architecture} with {file.head}")

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        config, material = self.order.training
        self.options: dict[str, Any] = dict(config.options)
        begin = read_model(material.begin) if material.begin is not None else None
        if begin is not None:
            self.options |= backbone_options(begin)
        network = DetectionNetwork(config.architecture, config.head, len(self.labels), self.input_size, self.options)
        if begin is not None:
            load_backbone(network, backbone_of(begin, config.architecture))
        return network

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        wanted = [{"boxes": corners, "labels": labels + model.first} for corners, labels in self.targets(batch)]
        return model(batch.pixels.float() / 255, wanted)

    def facts(self, weights: State) -> ModelFile:
        """See DetectionLoop."""
        return replace(super().facts(weights), options=self.options)
