"""What detectors with queries share, in our loop and, taken apart, in exported files: RT-DETR's and RF-DETR's."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any, ClassVar

import torch

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.detections import Detections
from studio9_trainers.errors import BadModel
from studio9_trainers.export.exportable import Array, Exportable, Outputs
from studio9_trainers.files import ModelFile
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.detecting import DetectionLoop, Raw, SquareDetector, detections, with_weights
from studio9_trainers.loops.pixels import SCALED, Variation, place, square_input
from studio9_trainers.machine import device

MEANINGS = (
    "batch x queries x 4: left, top, right and bottom of a box in pixels of the input, which may lie beyond it",
    "batch x queries x labels: a score for each label; boxes that overlap another of their label by more than the IoU "
    "are to be dropped, the weaker first",
)


def queries(network: torch.nn.Module, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(corners in the square's pixels: batch, query, 4; scores: batch, query, label) of pixels from 0 to 1."""
    output = network(pixel_values=pixels)
    centre, size = output.pred_boxes.float().split(2, dim=-1)
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1) * pixels.shape[-1]
    return corners, output.logits.float().sigmoid()


def centred(corners: torch.Tensor, labels: torch.Tensor, side: int) -> dict[str, torch.Tensor]:
    """One picture's true boxes as the losses of transformers take them: centre and size as parts of the side."""
    scaled = corners / side
    centre, size = (scaled[:, :2] + scaled[:, 2:]) / 2, scaled[:, 2:] - scaled[:, :2]
    return {"class_labels": labels, "boxes": torch.cat([centre, size], dim=1)}


def strongest(corners: torch.Tensor, scores: torch.Tensor, limit: int) -> list[Raw]:
    """Of each picture the pairs of query and label with the highest scores, at most so many."""
    labels = scores.shape[-1]
    best, where = scores.flatten(1).topk(min(limit, scores.shape[1] * labels), dim=1)
    return [
        (corners[number, places // labels], confidence, places % labels)
        for number, (confidence, places) in enumerate(zip(best, where, strict=True))
    ]


class Queries(torch.nn.Module):
    """The network with corners and scores as its outputs."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = deepcopy(network).cpu().float()
        self.eval()

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `queries`."""
        return queries(self.network, pixels)


class QueryDetector(SquareDetector):
    """Boxes as the queries of the last layer give them."""

    def raw(self, pixels: torch.Tensor, limit: int) -> list[Raw]:
        """See SquareDetector."""
        return strongest(*queries(self.network, pixels), limit)

    def exportable(self) -> Exportable:
        """See CanExport."""
        return exportable(self.network, self.file)


class QueryLoop(DetectionLoop):
    """Trains and loads them. `backbone` is what the names of its tensors begin with, with the last point."""

    offers: ClassVar[Capabilities]
    architectures: ClassVar[Collection[str]]
    backbone: ClassVar[str]
    detector: ClassVar[type[QueryDetector]] = QueryDetector

    @abstractmethod
    def fresh(self, architecture: str, labels: int, queries: int) -> torch.nn.Module:
        """A network for so many labels."""

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return self.offers

    def at_work(self, file: ModelFile, network: torch.nn.Module) -> SquareDetector:
        """See DetectionLoop."""
        return self.detector(file, network, device())

    def rebuilt(self, file: ModelFile) -> torch.nn.Module:
        """See DetectionLoop."""
        if file.architecture not in self.architectures:
            known = ", ".join(self.architectures)
            raise BadModel(f"The model is a {file.architecture}; here are {known}: use a newer version.")
        network = self.fresh(file.architecture, len(file.labels), int(file.options["queries"]))
        return with_weights(network, file, file.architecture)

    def is_backbone(self, name: str) -> bool:
        """See Loop."""
        return name.startswith(self.backbone)

    def frozen_modules(self, model: torch.nn.Module) -> list[torch.nn.Module]:
        """See Loop."""
        return [model.get_submodule(self.backbone.rstrip("."))]

    def answered(self, model: torch.nn.Module, batch: Batch) -> tuple[Any, int]:
        """What the network of the package says of a batch, with its losses, and how many true boxes that has."""
        wanted = [centred(corners, labels, batch.side) for corners, labels in self.targets(batch)]
        output = model(pixel_values=batch.pixels.float() / 255, labels=wanted)
        return output, sum(len(one["class_labels"]) for one in wanted)


def exportable(network: torch.nn.Module, file: ModelFile) -> Exportable:
    """The parts of a detector."""
    side = file.input_size

    def split(outputs: Outputs) -> tuple[Array | None, Array]:
        return outputs[0], outputs[1]

    def finish(
        outputs: Outputs, shapes: Sequence[tuple[int, ...]], confidence: float, iou: float, max_boxes: int
    ) -> list[Detections]:
        raw = strongest(torch.from_numpy(outputs[0]), torch.from_numpy(outputs[1]), max_boxes)
        return [
            detections(*one, place(shape, side, Variation(), None), shape, confidence, iou, max_boxes)
            for one, shape in zip(raw, shapes, strict=True)
        ]

    return Exportable(
        task=file.task,
        labels=file.labels,
        thresholds=file.thresholds,
        module=Queries(network),
        outputs=("boxes", "scores"),
        meanings=MEANINGS,
        side=side,
        prepare=lambda pixels: square_input(pixels, side),
        split=split,
        finish=finish,
        pixels=f"{file.pixels}; {SCALED}",
        fixed=True,
        ordered=False,
    )
