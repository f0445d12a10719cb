"""RF-DETR's networks, made from a configuration: nothing is downloaded."""

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import torch
from transformers import RfDetrConfig, RfDetrForObjectDetection
from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config
from transformers.utils import logging

MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)
"""Of red, green and blue in the pictures that the published backbones have learned from."""


@dataclass(frozen=True)
class Shape:
    """What makes one RF-DETR differ from another. `side`: pixels of the square that its places are counted for; others
    are taken too. `groups`: how many sets of queries learn side by side; one of them answers later."""

    side: int
    decoder_layers: int
    patch: int = 16
    width: int = 384
    heads: int = 6
    stages: tuple[int, ...] = (3, 6, 9, 12)
    decoder_width: int = 256
    decoder_heads: tuple[int, int] = (8, 16)
    decoder_inner: int = 2048
    groups: int = 13
    windows: int = 2

    def places(self, side: int) -> int:
        """In how many places of such a square a box can begin: no more queries can be asked."""
        return (side // self.patch) ** 2


SHAPES = {
    "RFDETR_TINY": Shape(
        side=192, decoder_layers=2, patch=8, width=96, heads=3, stages=(2, 4), decoder_width=64, decoder_heads=(4, 4),
        decoder_inner=128, groups=4,
    ),
    "RFDETR_NANO": Shape(side=384, decoder_layers=2),
    "RFDETR_SMALL": Shape(side=512, decoder_layers=3),
    "RFDETR_MEDIUM": Shape(side=576, decoder_layers=4),
    "RFDETR_LARGE": Shape(side=704, decoder_layers=4),
}  # fmt: skip


class RfDetr(torch.nn.Module):
    """The network of transformers, for pixels from 0 to 1."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        detector.loss_function = partial(_in_full, detector.loss_function)
        self.detector = detector
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(3, 1, 1), persistent=False)

    def forward(self, pixel_values: torch.Tensor, labels: Any = None) -> Any:
        """What the network says of a batch, with its losses where `labels` are given."""
        return self.detector(pixel_values=(pixel_values - self.mean) / self.spread, labels=labels)


def _in_full(loss: Any, logits: torch.Tensor, *others: Any) -> Any:
    """A loss in full precision, whatever the network computes in: it takes the logarithm of what a score lacks to 1,
    which 16 bits round to nothing for a score above 0.998."""
    with torch.autocast(logits.device.type, enabled=False):
        return loss(*(_full(one) for one in (logits, *others)))


def _full(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    return [_full(one) for one in value] if isinstance(value, list | tuple) else value


def configuration(architecture: str, labels: int, queries: int) -> RfDetrConfig:
    """Of a network for so many labels."""
    shape = SHAPES[architecture]
    backbone = RfDetrDinov2Config(
        hidden_size=shape.width,
        num_hidden_layers=shape.stages[-1],
        num_attention_heads=shape.heads,
        image_size=shape.side,
        patch_size=shape.patch,
        num_windows=shape.windows,
        out_indices=list(shape.stages),
    )
    return RfDetrConfig(
        backbone_config=backbone,
        d_model=shape.decoder_width,
        dropout=0.0,
        decoder_ffn_dim=shape.decoder_inner,
        decoder_layers=shape.decoder_layers,
        decoder_n_points=2,
        decoder_self_attention_heads=shape.decoder_heads[0],
        decoder_cross_attention_heads=shape.decoder_heads[1],
        group_detr=shape.groups,
        num_queries=queries,
        num_labels=labels,
    )


def build(architecture: str, labels: int, queries: int) -> RfDetr:
    """A fresh network for so many labels."""
    logging.set_verbosity_error()
    return RfDetr(RfDetrForObjectDetection(configuration(architecture, labels, queries)))


def for_one_size(network: torch.nn.Module, side: int) -> torch.nn.Module:
    """A copy that takes squares of one size: its places are computed once, in a way that formats need not have."""
    made = deepcopy(network).eval()
    embeddings: Any = made.get_submodule("detector.model.backbone.backbone.embeddings")
    places = (side // embeddings.patch_size) ** 2 + 1
    with torch.no_grad():
        like = embeddings.position_embeddings[:, :1].expand(1, places, -1)
        known = embeddings.interpolate_pos_encoding(like, side, side)
    embeddings.position_embeddings = torch.nn.Parameter(known.clone(), requires_grad=False)
    embeddings.interpolate_pos_encoding = MethodType(_as_they_are, embeddings)
    return made


def _as_they_are(embeddings: Any, _: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return embeddings.position_embeddings
