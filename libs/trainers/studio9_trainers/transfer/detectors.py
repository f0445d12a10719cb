"""Detection heads on any backbone with maps of several sizes: torchvision's, and RFB blocks before its SSD."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.ops import FeaturePyramidNetwork

from studio9_trainers.transfer.backbones import Backbone, make_backbone
from studio9_trainers.transfer.offered import EXTRACTS

Maps = OrderedDict[str, torch.Tensor]
FIRST = {"FCOS": 0, "FASTER_RCNN_FPN": 1, "RFBNET": 1}
"""The index of the first label; below it is the background."""


class DetectionNetwork(nn.Module):
    """`backbone`, `neck` and torchvision's detector behind them. Takes pixels from 0 to 1 as squares."""

    def __init__(self, architecture: str, head: str, labels: int, side: int, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.first = FIRST[head]
        self.backbone = make_backbone(architecture, options, side)
        width = int(options["pyramid"])
        if head == "RFBNET":
            levels = _levels(self.backbone, str(options["extract_from"]))
            self.neck: Receptive | Pyramid = Receptive(self.backbone, levels, width)
        else:
            self.neck = Pyramid(self.backbone, width)
        features = Features(self._maps, [width] * len(self.neck.strides) if head == "RFBNET" else width)
        self.detector = _MAKERS[head](features, self.neck, labels, side, options)

    def forward(
        self, pixels: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None
    ) -> dict[str, torch.Tensor] | list[dict[str, torch.Tensor]]:
        """While training the parts of the loss, else `boxes`, `scores` and `labels` of each picture."""
        return self.detector(list(pixels), targets)

    def _maps(self, pixels: torch.Tensor) -> Maps:
        return self.neck(self.backbone.maps(pixels))


class Features(nn.Module):
    """What torchvision takes for a backbone. It holds a function, so that weights are not registered twice."""

    def __init__(self, maps: Callable[[torch.Tensor], Maps], out_channels: int | list[int]) -> None:
        super().__init__()
        self.out_channels = out_channels
        self._maps = maps

    def forward(self, pixels: torch.Tensor) -> Maps:
        """The maps that boxes are found on."""
        return self._maps(pixels)


class Pyramid(nn.Module):
    """Maps of every size, each told what the coarser ones see."""

    def __init__(self, backbone: Backbone, width: int) -> None:
        super().__init__()
        self.strides = backbone.strides
        self.pyramid = FeaturePyramidNetwork(list(backbone.channels), width)

    def forward(self, maps: list[torch.Tensor]) -> Maps:
        """Named by number, finest first."""
        return self.pyramid(OrderedDict((str(number), one) for number, one in enumerate(maps)))


class Receptive(nn.Module):
    """Two maps, each through a receptive field block, and two more that halve the last."""

    def __init__(self, backbone: Backbone, levels: tuple[int, int], width: int) -> None:
        super().__init__()
        self._levels = levels
        last = backbone.strides[levels[1]]
        self.strides = (backbone.strides[levels[0]], last, 2 * last, 4 * last)
        self.blocks = nn.ModuleList(FieldBlock(backbone.channels[level], width) for level in levels)
        self.extra = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            for _ in range(2)
        )

    def forward(self, maps: list[torch.Tensor]) -> Maps:
        """Named by number, finest first."""
        found = [block(maps[level]) for block, level in zip(self.blocks, self._levels, strict=True)]
        for halve in self.extra:
            found.append(halve(found[-1]))
        return OrderedDict((str(number), one) for number, one in enumerate(found))


class FieldBlock(nn.Module):
    """Branches that look ever wider (Liu et al. 2018, Receptive Field Block), joined, with a short cut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        part = max(8, after // 4)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, part, 1, bias=False),
                nn.BatchNorm2d(part),
                nn.ReLU(inplace=True),
                nn.Conv2d(part, part, 3, padding=wide, dilation=wide, bias=False),
                nn.BatchNorm2d(part),
                nn.ReLU(inplace=True),
            )
            for wide in (1, 3, 5)
        )
        self.join = nn.Conv2d(3 * part, after, 1)
        self.short = nn.Conv2d(before, after, 1)

    def forward(self, one: torch.Tensor) -> torch.Tensor:
        """The same size."""
        return torch.relu(self.join(torch.cat([branch(one) for branch in self.branches], dim=1)) + self.short(one))


def _levels(backbone: Backbone, extract_from: str) -> tuple[int, int]:
    """Indices into the backbone's maps: those of the strides that are named, or the nearest there are."""
    wanted = EXTRACTS[extract_from]
    found = [min(range(len(backbone.strides)), key=lambda i: abs(backbone.strides[i] - stride)) for stride in wanted]
    return (found[0], found[1]) if found[0] < found[1] else (found[0], min(found[0] + 1, len(backbone.strides) - 1))


def _common(side: int) -> dict[str, Any]:
    # The backbone normalises pixels itself, and squares have their size already.
    return {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "min_size": side, "max_size": side}


def _fcos(features: Features, neck: Any, labels: int, side: int, options: Mapping[str, Any]) -> nn.Module:
    anchors = AnchorGenerator(tuple((stride * 2,) for stride in neck.strides), ((1.0,),) * len(neck.strides))
    return FCOS(features, labels, anchor_generator=anchors, score_thresh=0.001, detections_per_img=300, **_common(side))


def _faster_rcnn(features: Features, neck: Any, labels: int, side: int, options: Mapping[str, Any]) -> nn.Module:
    ratios = ((0.5, 1.0, 2.0),) * len(neck.strides)
    anchors = AnchorGenerator(tuple((stride * 4,) for stride in neck.strides), ratios)
    return FasterRCNN(
        features,
        labels + 1,
        rpn_anchor_generator=anchors,
        box_score_thresh=0.001,
        box_detections_per_img=300,
        **_common(side),
    )


def _rfbnet(features: Features, neck: Any, labels: int, side: int, options: Mapping[str, Any]) -> nn.Module:
    steps = len(neck.strides)
    anchors = DefaultBoxGenerator([[2]] * steps, min_ratio=8, max_ratio=80, steps=list(neck.strides))
    kept = int(options["top_k_selection"])
    common = _common(side)
    return SSD(
        features,
        anchors,
        (side, side),
        labels + 1,
        image_mean=common["image_mean"],
        image_std=common["image_std"],
        score_thresh=0.001,
        topk_candidates=kept,
        detections_per_img=kept,
    )


_MAKERS: dict[str, Callable[[Features, Any, int, int, Mapping[str, Any]], nn.Module]] = {
    "FCOS": _fcos,
    "FASTER_RCNN_FPN": _faster_rcnn,
    "RFBNET": _rfbnet,
}
