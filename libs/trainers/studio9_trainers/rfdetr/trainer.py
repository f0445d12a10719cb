"""RF-DETR in the loop that is ours."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.export.exportable import Exportable
from studio9_trainers.files import ModelFile, State, load_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.detecting import DetectionLoop, Raw, SquareDetector
from studio9_trainers.loops.queries import centred, exportable, queries, strongest
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.rfdetr.framework import CAPABILITIES, NAME, PUBLISHED
from studio9_trainers.rfdetr.network import SHAPES, build, for_one_size, rebuilt
from studio9_trainers.rfdetr.weights import begun

BACKBONE = "detector.model.backbone.backbone."
WEIGHTS = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}
"""The last layer's parts of the loss, and what each counts; all others are told as one."""


class RfDetrDetector(SquareDetector):
    """Boxes as the queries of the last layer give them."""

    def raw(self, pixels: torch.Tensor, limit: int) -> list[Raw]:
        """See SquareDetector."""
        return strongest(*queries(self.network, pixels), limit)

    def exportable(self) -> Exportable:
        """See CanExport."""
        return exportable(for_one_size(self.network, self.file.input_size), self.file)


class RfDetrTrainer(DetectionLoop):
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
        return RfDetrDetector(file, network, device())

    def export_model(self, weights: State) -> Model:
        """See Loop."""
        file = self.facts(weights)
        return self.at_work(file, rebuilt(file))

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        config, material = self.order.training
        wanted = int(config.options["queries"])
        self.queries = min(wanted, SHAPES[config.architecture].places(self.input_size))
        if self.queries < wanted:
            self.run.warn(
                "queries_clipped",
                f"queries = {wanted}: pictures of {self.input_size} pixels have places for {self.queries}, so these "
                "are asked.",
            )
        if material.begin is None and config.architecture in PUBLISHED:
            self.run.warn(
                "random_weights",
                f"{config.architecture} needs many pictures to learn from random weights: give published ones, or a "
                "model trained here, to begin with.",
            )
        if material.begin is None:
            return build(config.architecture, len(self.labels), self.queries)
        network, fitting = begun(material.begin, config.architecture, len(self.labels), self.queries)
        self.run.events.log(f"{fitting} of {len(network.state_dict())} tensors of the given model fit.")
        return network

    def facts(self, weights: State) -> ModelFile:
        """See DetectionLoop."""
        made = super().facts(weights)
        return replace(made, options={**made.options, "queries": self.queries})

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
        parts = {name: output.loss_dict[name] * weight for name, weight in WEIGHTS.items()}
        return {**parts, "loss_deeper": output.loss - torch.stack(list(parts.values())).sum()}
