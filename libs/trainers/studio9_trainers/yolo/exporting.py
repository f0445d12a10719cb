"""A YOLO model taken apart for export."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from ultralytics.utils.nms import non_max_suppression

from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.export.exportable import Array, Exportable, Outputs
from studio9_trainers.files import ModelFile
from studio9_trainers.yolo.letterbox import letterbox, unscaled

MEANING = (
    "batch x (4 + labels) x places: centre and size of a box in pixels of the input, then a score for each label; "
    "boxes that overlap another of their label by more than the IoU are to be dropped, the weaker first"
)


class Bare(torch.nn.Module):
    """The package's model with one output: (batch, 4 + labels, places), boxes as centre and size in pixels."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = deepcopy(model).cpu().float().to(memory_format=torch.contiguous_format)
        head = self.model.model[-1]
        # Places are made for each input's size; as a plain export, without what the package itself adds.
        head.export, head.dynamic, head.format = True, True, "onnx"
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The raw output."""
        found = self.model(pixels)
        return found[0] if isinstance(found, tuple | list) else found


def exportable(model: Any, file: ModelFile) -> Exportable:
    """The parts of a detector."""

    def prepare(pixels: Pixels) -> Array:
        return letterbox(pixels, file.input_size).transpose(2, 0, 1).astype(np.float32) / np.float32(255)

    def split(outputs: Outputs) -> tuple[Array | None, Array]:
        rows = outputs[0].transpose(0, 2, 1)
        centres, sizes = rows[..., :2], rows[..., 2:4]
        return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1), rows[..., 4:]

    def finish(
        outputs: Outputs, shapes: Sequence[tuple[int, ...]], confidence: float, iou: float, max_boxes: int
    ) -> list[Detections]:
        kept = non_max_suppression(
            torch.from_numpy(outputs[0].copy()),
            confidence,
            iou,
            max_det=max_boxes,
            nc=len(file.labels),
            max_time_img=60.0,
        )
        return [unscaled(boxes.numpy(), shape, file.input_size) for boxes, shape in zip(kept, shapes, strict=True)]

    return Exportable(
        task=file.task,
        labels=file.labels,
        thresholds=file.thresholds,
        module=Bare(model),
        outputs=("predictions",),
        meanings=(MEANING,),
        side=file.input_size,
        prepare=prepare,
        split=split,
        finish=finish,
        pixels=f"{file.pixels}; scaled bilinearly",
    )
