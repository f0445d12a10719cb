"""RT-DETR in the loop that is ours."""

from collections.abc import Mapping

import torch

from studio9_trainers.files import load_fitting, load_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.queries import QueryLoop
from studio9_trainers.rtdetr.framework import CAPABILITIES, NAME
from studio9_trainers.rtdetr.network import BACKBONES, build

TOLD = ("loss_vfl", "loss_bbox", "loss_giou")
"""The last layer's parts of the loss; all others are told as one."""


class RtDetrTrainer(QueryLoop):
    """Trains and loads them."""

    framework = NAME
    offers = CAPABILITIES
    architectures = BACKBONES
    backbone = "model.backbone."

    def fresh(self, architecture: str, labels: int, queries: int) -> torch.nn.Module:
        """See QueryLoop."""
        return build(architecture, labels, queries)

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        config, material = self.order.training
        network = build(config.architecture, len(self.labels), int(config.options["queries"]))
        if material.begin is not None:
            fitting = load_fitting(network, load_model(material.begin, NAME, self.task).state)
            self.run.events.log(f"{fitting} of {len(network.state_dict())} tensors of the given model fit.")
        return network

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        output, boxes = self.answered(model, batch)
        parts = {name: output.loss_dict[name] for name in TOLD if name in output.loss_dict}
        rest = output.loss - torch.stack(list(parts.values())).sum() if parts else output.loss
        # The package divides by the boxes of its own pictures, whatever the other processes see.
        share = self.together.part(boxes)
        return {name: value * share for name, value in {**parts, "loss_deeper": rest}.items()}
