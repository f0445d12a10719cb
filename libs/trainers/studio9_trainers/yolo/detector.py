"""A YOLO model at work: batches of pictures in, boxes out."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.utils.nms import non_max_suppression

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.export.exportable import Exportable
from studio9_trainers.files import ModelFile, save_model
from studio9_trainers.yolo.exporting import exportable
from studio9_trainers.yolo.letterbox import letterbox
from studio9_trainers.yolo.own_figures import own_figures
from studio9_trainers.yolo.shapes import KINDS, found_shapes
from studio9_trainers.yolo.weights import rebuilt

BATCH = 16


class YoloDetector:
    """Rebuilt from a model file's facts and tensors."""

    def __init__(self, file: ModelFile, device: str) -> None:
        self._file = file
        self._device = device
        self._model = rebuilt(file).to(device, memory_format=torch.channels_last).eval().fuse(verbose=False)
        self._chooses = bool(getattr(self._model, "end2end", False))

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""
        return self._file.labels

    @property
    def thresholds(self) -> Thresholds:
        """Those stored with the model."""
        return self._file.thresholds

    def save(self, path: Path) -> Written:
        """Write the model file."""
        return save_model(path, self._file)

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """Boxes of each picture, in order; neighbours that scale to one size share a batch of at most 16."""
        scaled = ((picture, pixels.shape[:2], letterbox(pixels, self._file.input_size)) for picture, pixels in pictures)
        for _, same in groupby(scaled, key=lambda one: one[2].shape):
            batch: list[tuple[Picture, tuple[int, ...], Pixels]] = []
            for one in same:
                batch.append(one)
                if len(batch) == BATCH:
                    yield from self._batch(batch, confidence, iou, max_boxes)
                    batch = []
            if batch:
                yield from self._batch(batch, confidence, iou, max_boxes)

    @torch.inference_mode()
    def _batch(
        self, batch: list[tuple[Picture, tuple[int, ...], Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> list[tuple[Picture, Detections]]:
        stacked = torch.from_numpy(np.stack([scaled for _, _, scaled in batch])).to(self._device)
        # Height, width, colour as they lie in memory are already the order that channels_last wants.
        output = self._model(stacked.permute(0, 3, 1, 2).float() / 255)
        raw, prototypes = parted(output)
        # No limit of time: which boxes are kept must not depend on how busy the machine is.
        kept, rows = non_max_suppression(
            raw,
            confidence,
            iou,
            max_det=max_boxes,
            nc=len(self.names),
            max_time_img=60.0,
            rotated=self._file.task == "obb",
            end2end=self._chooses,
            return_idxs=True,
        )
        found = []
        for number, ((picture, shape, scaled), boxes, at) in enumerate(zip(batch, kept, rows, strict=True)):
            own = prototypes[number].cpu() if prototypes is not None else None
            scores = self._scores(raw[number], at)
            rows_found = boxes.cpu().numpy()
            found.append((picture, found_shapes(self._file, rows_found, own, shape, scaled.shape[:2], scores)))
        return found

    def _scores(self, raw: torch.Tensor, rows: torch.Tensor) -> Any:
        """Every label's score of the boxes that were kept; none where the model has made its choice itself."""
        if self._chooses:
            return None
        chosen = raw[4 : 4 + len(self.names), rows.view(-1).long()]
        return chosen.T.cpu().numpy().astype(np.float16)

    def own_figures(self, pictures: list[Judged], labels: int) -> dict[str, float]:
        """See HasOwnFigures."""
        return own_figures(pictures, labels, self._file.task)

    def exportable(self) -> Exportable:
        """See CanExport."""
        return exportable(self._model, self._file)


class YoloShapeFinder(YoloDetector):
    """One that finds masks, keypoints or turned boxes; they can't be put together from tiles."""

    @property
    def shape(self) -> str:
        """See ShapeFinder."""
        return KINDS[self._file.task]


def detector(file: ModelFile, device: str) -> YoloDetector:
    """The model of a file at work."""
    return (YoloDetector if file.task == "detect" else YoloShapeFinder)(file, device)


def parted(output: Any) -> tuple[Any, Any]:
    """(what boxes are made of, the prototypes of masks or none), from what a model gives while evaluating."""
    first = output[0] if isinstance(output, tuple | list) else output
    if isinstance(first, tuple | list):  # of masks
        return first[0], first[1]
    return first, None
