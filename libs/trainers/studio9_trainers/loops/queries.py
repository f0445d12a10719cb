"""What queries say of pictures, in our loop and, taken apart, in exported files: RT-DETR's and RF-DETR's."""

from collections.abc import Sequence
from copy import deepcopy

import torch

from studio9_trainers.detections import Detections
from studio9_trainers.export.exportable import Array, Exportable, Outputs
from studio9_trainers.files import ModelFile
from studio9_trainers.loops.detecting import Raw, detections
from studio9_trainers.loops.pixels import SCALED, Variation, place, square_input

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
