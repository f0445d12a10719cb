"""A YOLO model taken apart for export."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from ultralytics.utils.nms import non_max_suppression

from studio9_trainers.capabilities import Task
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.export.exportable import Array, Exportable, Outputs
from studio9_trainers.files import ModelFile
from studio9_trainers.yolo.letterbox import letterbox, padded_size
from studio9_trainers.yolo.shapes import found_shapes

MORE: dict[Task, str] = {
    "detect": "",
    "segment": ", then 32 factors of its mask",
    "pose": ", then x, y in pixels of the input and how sure it is visible (0 to 1) of each keypoint",
    "obb": ", then the angle that it is turned by, clockwise, in radians",
}
OVERLAPS = "boxes that overlap another of their label by more than the IoU are to be dropped, the weaker first"
CHOOSES = "the strongest are the boxes, whatever they overlap"
PROTOTYPES = (
    "batch x 32 x height / 4 x width / 4: a box's mask is where the sum of these, each times its factor, is above 0, "
    "within the box"
)


class Bare(torch.nn.Module):
    """The package's model with plain outputs: (batch, 4 + labels + more, places), of masks their prototypes too."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = deepcopy(model).cpu().float().to(memory_format=torch.contiguous_format)
        head = self.model.model[-1]
        # Places are made for each input's size; as a plain export, without what the package itself adds.
        head.export, head.dynamic, head.format = True, True, "onnx"
        # A head that chooses boxes itself takes a number of them that one size of inputs has: they are chosen after.
        head.postprocess = _every
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The raw outputs."""
        found = self.model(pixels)
        return (found[0], found[1]) if isinstance(found, tuple | list) else found


def _every(rows: torch.Tensor) -> torch.Tensor:
    return rows.permute(0, 2, 1)


def exportable(model: Any, file: ModelFile) -> Exportable:
    """The parts of a model."""
    head = model.model[-1]
    chooses = bool(getattr(model, "end2end", False))
    corners = chooses and file.task != "obb"  # instead of centre and size
    labels = len(file.labels)

    def prepare(pixels: Pixels) -> Array:
        return letterbox(pixels, file.input_size).transpose(2, 0, 1).astype(np.float32) / np.float32(255)

    def split(outputs: Outputs) -> tuple[Array | None, Array]:
        rows = outputs[0].transpose(0, 2, 1)
        boxes = rows[..., :4] if corners else _cornered(rows[..., :2], rows[..., 2:4])
        more = rows[..., 4 + labels :]
        match file.task:
            case "obb":
                boxes = _turned(rows[..., :2], rows[..., 2:4], more)
            case "pose":
                boxes = np.concatenate([boxes, more[..., 0::3], more[..., 1::3]], axis=-1)
        return boxes, rows[..., 4 : 4 + labels]

    def finish(
        outputs: Outputs, shapes: Sequence[tuple[int, ...]], confidence: float, iou: float, max_boxes: int
    ) -> list[Detections]:
        raw = torch.from_numpy(outputs[0].copy())
        if chooses:
            raw = type(head).postprocess(head, raw.permute(0, 2, 1))
        kept = non_max_suppression(
            raw,
            confidence,
            iou,
            max_det=max_boxes,
            nc=labels,
            max_time_img=60.0,
            rotated=file.task == "obb",
            end2end=chooses,
        )
        found = []
        for number, (boxes, shape) in enumerate(zip(kept, shapes, strict=True)):
            prototypes = torch.from_numpy(outputs[1][number]) if file.task == "segment" else None
            scaled = padded_size(shape, file.input_size)
            found.append(found_shapes(file, boxes.numpy(), prototypes, shape, scaled, None))
        return found

    place = f"{'corners' if corners else 'centre and size'} of a box in pixels of the input"
    meaning = (
        f"batch x (4 + labels{' + more' if MORE[file.task] else ''}) x places: {place}, then a score for each label"
        f"{MORE[file.task]}; {CHOOSES if chooses else OVERLAPS}"
    )
    masks = file.task == "segment"
    return Exportable(
        task=file.task,
        labels=file.labels,
        thresholds=file.thresholds,
        module=Bare(model),
        outputs=("predictions", "prototypes") if masks else ("predictions",),
        meanings=(meaning, PROTOTYPES) if masks else (meaning,),
        side=file.input_size,
        prepare=prepare,
        split=split,
        finish=finish,
        pixels=f"{file.pixels}; scaled bilinearly",
    )


def _cornered(centres: Array, sizes: Array) -> Array:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1)


def _turned(centres: Array, sizes: Array, angles: Array) -> Array:
    """Three of the four corners: where these are, the last is."""
    cosine, sine = np.cos(angles), np.sin(angles)
    across = np.concatenate([cosine, sine], axis=-1) * sizes[..., :1] / 2
    down = np.concatenate([-sine, cosine], axis=-1) * sizes[..., 1:] / 2
    return np.concatenate([centres - across - down, centres + across - down, centres + across + down], axis=-1)
