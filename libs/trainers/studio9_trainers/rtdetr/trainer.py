"""RT-DETR in the loop that is ours."""

from collections.abc import Mapping
from pathlib import Path

import torch

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.export.exportable import Exportable
from studio9_trainers.files import ModelFile, State, load_fitting, load_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.detecting import DetectionLoop, Raw, SquareDetector
from studio9_trainers.loops.queries import centred, exportable, queries, strongest
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.rtdetr.framework import CAPABILITIES, NAME
from studio9_trainers.rtdetr.network import build, rebuilt

BACKBONE = "model.backbone."
TOLD = ("loss_vfl", "loss_bbox", "loss_giou")
"""The last layer's parts of the loss; all others are told as one."""


class RtDetrDetector(SquareDetector):
    """Boxes as the queries of the last layer give them."""

    def raw(self, pixels: torch.Tensor, limit: int) -> list[Raw]:
        """See SquareDetector."""
        return strongest(*queries(self.network, pixels), limit)

    def exportable(self) -> Exportable:
        """See CanExport."""
        return exportable(self.network, self.file)


class RtDetrTrainer(DetectionLoop):
    """Trains and loads them."""

    framework = NAME

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return CAPABILITIES

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        file = load_model(path, NAME, self.task)
        return self.at_work(file, rebuilt(file))

    def at_work(self, file: ModelFile, network: torch.nn.Module) -> SquareDetector:
        """See DetectionLoop."""
        return RtDetrDetector(file, network, device())

    def export_model(self, weights: State) -> Model:
        """See Loop."""
        file = self.facts(weights)
        return self.at_work(file, rebuilt(file))

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        config, material = self.order.training
        network = build(config.architecture, len(self.labels), int(config.options["queries"]))
        if material.begin is not None:
            fitting = load_fitting(network, load_model(material.begin, NAME, self.task).state)
            self.run.events.log(f"{fitting} of {len(network.state_dict())} tensors of the given model fit.")
        return network

    def is_backbone(self, name: str) -> bool:
        """See Loop."""
        return name.startswith(BACKBONE)

    def frozen_modules(self, model: torch.nn.Module) -> list[torch.nn.Module]:
        """See Loop."""
        return [model.get_submodule(BACKBONE.rstrip("."))]

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        wanted = [centred(corners, labels, batch.side) for corners, labels in self.targets(batch)]
        output = model(pixel_values=batch.pixels.float() / 255, labels=wanted)
        parts = {name: output.loss_dict[name] for name in TOLD if name in output.loss_dict}
        rest = output.loss - torch.stack(list(parts.values())).sum() if parts else output.loss
        # The package divides by the boxes of its own pictures, whatever the other processes see.
        share = self.together.part(sum(len(one["class_labels"]) for one in wanted))
        return {name: value * share for name, value in {**parts, "loss_deeper": rest}.items()}
