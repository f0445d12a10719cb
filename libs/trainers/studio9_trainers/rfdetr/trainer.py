"""RF-DETR in the loop that is ours."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from studio9_trainers.export.exportable import Exportable
from studio9_trainers.files import ModelFile, State
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.queries import QueryDetector, QueryLoop, exportable
from studio9_trainers.rfdetr.framework import CAPABILITIES, NAME, PUBLISHED
from studio9_trainers.rfdetr.network import SHAPES, build, for_one_size
from studio9_trainers.rfdetr.weights import begun

WEIGHTS = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}
"""The last layer's parts of the loss, and what each counts; all others are told as one."""


class RfDetrDetector(QueryDetector):
    """See QueryDetector."""

    def exportable(self) -> Exportable:
        """See CanExport."""
        return exportable(for_one_size(self.network, self.file.input_size), self.file)


class RfDetrTrainer(QueryLoop):
    """Trains and loads them."""

    framework = NAME
    offers = CAPABILITIES
    architectures = SHAPES
    backbone = "detector.model.backbone.backbone."
    detector = RfDetrDetector

    def fresh(self, architecture: str, labels: int, queries: int) -> torch.nn.Module:
        """See QueryLoop."""
        return build(architecture, labels, queries)

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

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        output, _ = self.answered(model, batch)
        parts = {name: output.loss_dict[name] * weight for name, weight in WEIGHTS.items()}
        return {**parts, "loss_deeper": output.loss - torch.stack(list(parts.values())).sum()}
