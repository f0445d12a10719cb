"""Backbones: from a picture to feature maps of falling size and to one vector."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional

from studio9_trainers.transfer.offered import BACKBONES, STACKED_AUTOENCODER

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """Takes pixels from 0 to 1. `channels` and `strides` are those of its maps, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """At most four feature maps, finest first."""
        raise TypeError("a backbone gives maps")

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """One vector a picture: the mean of the last map."""
        return self.maps(pixels)[-1].mean(dim=(2, 3))


class TimmBackbone(Backbone):
    """A backbone of timm, from scratch: nothing is downloaded."""

    def __init__(self, name: str, side: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"img_size": side} if name.startswith("vit") else {}
        self.body = timm.create_model(name, pretrained=False, features_only=True, **options)
        info = self.body.feature_info
        self.channels = tuple(info.channels()[-4:])
        self.strides = tuple(info.reduction()[-4:])
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """See Backbone."""
        return list(self.body((pixels - self.mean) / self.deviation)[-4:])


class StackedEncoder(Backbone):
    """Five convolutions that halve the picture, each normalised; with `denoise` it learns from noisy pixels."""

    def __init__(self, width: int, latent: int, denoise: float) -> None:
        super().__init__()
        sizes = (3, *(min(width * 2**step, 8 * width) for step in range(4)), latent)
        self.blocks = nn.ModuleList(_halving(sizes[step], sizes[step + 1]) for step in range(5))
        self.channels, self.strides = sizes[2:], (4, 8, 16, 32)
        self._denoise = denoise

    def maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """See Backbone."""
        if self.training and self._denoise > 0:
            pixels = pixels + self._denoise * torch.randn_like(pixels)
        found = []
        for block in self.blocks:
            pixels = block(pixels)
            found.append(pixels)
        return found[1:]


class Decoder(nn.Module):
    """The mirror of a backbone: from its last map back to pixels from 0 to 1."""

    def __init__(self, channels: int, stride: int, width: int) -> None:
        super().__init__()
        steps = max(1, stride.bit_length() - 1)
        sizes = [channels, *(max(width, channels // 2 ** (step + 1)) for step in range(steps))]
        self.blocks = nn.ModuleList(_kept(sizes[step], sizes[step + 1]) for step in range(steps))
        self.out = nn.Conv2d(sizes[-1], 3, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pixels of the input's size."""
        for block in self.blocks:
            features = block(functional.interpolate(features, scale_factor=2.0, mode="nearest"))
        return self.out(features).sigmoid()


def make_backbone(architecture: str, options: Mapping[str, Any], side: int) -> Backbone:
    """The backbone of one of the catalogue's architectures."""
    if architecture == STACKED_AUTOENCODER:
        return StackedEncoder(int(options["width"]), int(options["latent"]), float(options["denoise"]))
    return TimmBackbone(BACKBONES[architecture][1], side)


def _halving(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def _kept(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
