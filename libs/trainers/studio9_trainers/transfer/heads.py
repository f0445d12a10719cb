"""Heads that give a picture a label."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from studio9_trainers.transfer.backbones import Backbone
from studio9_trainers.transfer.components import Components
from studio9_trainers.transfer.offered import CLASSIFIERS


class Layers(nn.Module):
    """Linear layers on the mean of the backbone's last map."""

    def __init__(self, width: int, labels: int, hidden_layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(hidden_layers):
            parts += [nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = hidden
        self.layers = nn.Sequential(*([] if hidden_layers else [nn.Dropout(dropout)]), *parts, nn.Linear(width, labels))

    def forward(self, last: torch.Tensor) -> torch.Tensor:
        """One score a label."""
        return self.layers(last.mean(dim=(2, 3)))


class FreeScale(nn.Module):
    """A score for each label and place, and their mean."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(dropout)
        self.scores = nn.Conv2d(width, labels, 1)

    def where(self, last: torch.Tensor) -> torch.Tensor:
        """Labels × height × width of the last map: where each label is seen."""
        return self.scores(self.drop(last))

    def forward(self, last: torch.Tensor) -> torch.Tensor:
        """One score a label."""
        return self.where(last).mean(dim=(2, 3))


def make_classifier(head: str, backbone: Backbone, labels: int, options: Mapping[str, Any]) -> nn.Module:
    """One of the catalogue's classifiers on a backbone."""
    width = backbone.channels[-1]
    if head == "FREE_SCALE":
        return FreeScale(width, labels, float(options["dropout"]))
    if head in CLASSIFIERS:
        hidden = CLASSIFIERS[head][1]
        return Layers(width, labels, hidden, int(options.get("hidden", 0)), float(options["dropout"]))
    return Components.empty(head, width, labels, options)
