"""A backbone and its head as one module, made from settings or from a model file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from studio9_trainers.capabilities import Task
from studio9_trainers.errors import BadModel
from studio9_trainers.files import ModelFile, State
from studio9_trainers.transfer.backbones import Decoder, make_backbone
from studio9_trainers.transfer.heads import make_classifier
from studio9_trainers.transfer.offered import STACKED_AUTOENCODER

BACKBONE = "backbone."
DECODER_WIDTH = 16
BACKBONE_OPTIONS = {STACKED_AUTOENCODER: ("width", "latent", "denoise")}


class Network(nn.Module):
    """Pixels from 0 to 1 in; scores of labels, or pixels again, out."""

    def __init__(
        self, task: Task, architecture: str, head: str, labels: int, side: int, options: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.backbone = make_backbone(architecture, options, side)
        if task == "reconstruct":
            self.head: nn.Module = Decoder(self.backbone.channels[-1], self.backbone.strides[-1], DECODER_WIDTH)
        else:
            self.head = make_classifier(head, self.backbone, labels, options)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The backbone's last map."""
        return self.backbone.maps(pixels)[-1]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """All the way."""
        return self.head(self.features(pixels))


def rebuilt(file: ModelFile) -> Network:
    """The network of a file, with its weights. Raises BadModel when they don't fit."""
    network = Network(file.task, file.architecture, file.head, len(file.labels), file.input_size, file.options)
    try:
        network.load_state_dict(file.state)
    except RuntimeError:
        raise BadModel(f"The model's weights don't fit {file.architecture} with {file.head}: choose another.") from None
    return network


def backbone_options(file: ModelFile) -> dict[str, Any]:
    """The parameters that a model's backbone was made with."""
    own = BACKBONE_OPTIONS.get(file.architecture, ())
    return {name: file.options[name] for name in own if name in file.options}


def backbone_of(file: ModelFile, architecture: str) -> State:
    """The backbone's tensors of a model to begin with. Raises BadModel when it has another backbone."""
    if file.architecture != architecture:
        raise BadModel(
            f"The model to begin with has the backbone {file.architecture}, the training {architecture}: use the same."
        )
    return {name: value for name, value in file.state.items() if name.startswith(BACKBONE)}


def load_backbone(network: nn.Module, state: State) -> None:
    """Give a network another one's backbone. Raises BadModel when a tensor of it does not fit."""
    own = network.state_dict()
    wanted = [name for name in own if name.startswith(BACKBONE)]
    if any(name not in state or state[name].shape != own[name].shape for name in wanted):
        raise BadModel("The model to begin with has a backbone of other sizes: use the same architecture parameters.")
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)
