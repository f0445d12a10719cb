"""Detectors in the loop that is ours: from a network's raw boxes to detections, and the validation they share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.ops import batched_nms

from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.errors import BadModel
from studio9_trainers.evaluation.average_precision import average_precision
from studio9_trainers.evaluation.figures import Judged, judged
from studio9_trainers.extensions import own_metrics
from studio9_trainers.files import ModelFile, State, load_model
from studio9_trainers.loops.at_work import AtWork
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.loop import Loop
from studio9_trainers.loops.pixels import PIXELS, Placed, Variation, place, squared
from studio9_trainers.models import Model

BATCH = 16
VALIDATION = {"confidence": 0.001, "iou": 0.6, "max_boxes": 100}

Raw = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Of one picture: corners in the square's pixels, confidences, label indices."""


class SquareDetector(AtWork, ABC):
    """A detector whose network takes squares."""

    @abstractmethod
    def raw(self, pixels: torch.Tensor, limit: int) -> list[Raw]:
        """The boxes of each picture of a batch (pixels from 0 to 1), at most so many."""

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """See models.Detector."""
        side = self.file.input_size
        pending = iter(pictures)
        while some := list(islice(pending, BATCH)):
            places = [place(pixels.shape, side, Variation(), None) for _, pixels in some]
            squares = [squared(pixels, side, placed) for (_, pixels), placed in zip(some, places, strict=True)]
            stacked = torch.from_numpy(np.ascontiguousarray(np.stack(squares).transpose(0, 3, 1, 2)))
            shapes = [pixels.shape[:2] for _, pixels in some]
            found = self.found(stacked, places, shapes, confidence, iou, max_boxes)
            yield from zip((picture for picture, _ in some), found, strict=True)

    @torch.inference_mode()
    def found(
        self,
        pixels: torch.Tensor,
        places: Iterable[Placed],
        shapes: Iterable[tuple[int, ...]],
        confidence: float,
        iou: float,
        max_boxes: int,
    ) -> list[Detections]:
        """Detections of a batch of squares (uint8), in each picture's own pixels."""
        raw = self.raw(pixels.to(self.device).float() / 255, max_boxes)
        return [
            detections(*one, placed, shape, confidence, iou, max_boxes)
            for one, placed, shape in zip(raw, places, shapes, strict=True)
        ]


class DetectionLoop(Loop):
    """What detectors share."""

    @abstractmethod
    def at_work(self, file: ModelFile, network: torch.nn.Module) -> SquareDetector:
        """A detector of this framework around a network."""

    @abstractmethod
    def rebuilt(self, file: ModelFile) -> torch.nn.Module:
        """The network of a file, with its weights. Raises BadModel when they don't fit."""

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        file = load_model(path, self.framework, self.task)
        return self.at_work(file, self.rebuilt(file))

    def export_model(self, weights: State) -> Model:
        """See Loop."""
        file = self.facts(weights)
        return self.at_work(file, self.rebuilt(file))

    def facts(self, weights: dict[str, torch.Tensor]) -> ModelFile:
        """The model file with these weights."""
        config, _ = self.order.training
        return ModelFile(
            framework=self.framework,
            task=self.task,
            architecture=config.architecture,
            head=config.head,
            labels=self.labels,
            input_size=self.input_size,
            thresholds=config.thresholds,
            state=weights,
            options=config.options,
            pixels=PIXELS,
        )

    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        """COCO's average precision on the held-back pictures."""
        detector = self.at_work(self.facts({}), model)
        seen: list[Judged] = []
        for batch in self.val_batches.epoch(0):
            shapes = [(one.record.height, one.record.width) for one in batch.pictures]
            found = detector.found(batch.pixels, batch.placed, shapes, **VALIDATION)
            seen += [judged(one.boxes, boxes, self.labels) for one, boxes in zip(batch.pictures, found, strict=True)]
        figures = average_precision(seen, len(self.labels), int(VALIDATION["max_boxes"]))
        told = {"map50": figures.map50, "map50_95": figures.map50_95} | own_metrics(self.labels, seen)
        return told, 0.1 * figures.map50 + 0.9 * figures.map50_95

    def targets(self, batch: Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Of each picture: true corners in the square's pixels, label indices. Ignored boxes are left out."""
        for number, picture in enumerate(batch.pictures):
            known = [box for box in picture.boxes if not box.ignore]
            corners = np.array([box.corners for box in known], dtype=np.float64).reshape(-1, 4)
            cut = batch.boxes(number, corners)
            kept = (cut[:, 2] - cut[:, 0] > 1) & (cut[:, 3] - cut[:, 1] > 1)
            labels = [self.labels.index(box.label) for box in known]
            yield (
                torch.from_numpy(cut[kept].astype(np.float32)).to(self.run.device),
                torch.tensor(np.array(labels, dtype=np.int64)[kept], device=self.run.device),
            )


def with_weights(network: torch.nn.Module, file: ModelFile, named: str) -> torch.nn.Module:
    """The network, fresh before, with a file's weights. Raises BadModel when they don't fit what is `named`."""
    try:
        network.load_state_dict(file.state)
    except RuntimeError:
        raise BadModel(f"The model's weights don't fit {named}: choose another.") from None
    return network


def detections(
    corners: torch.Tensor,
    confidences: torch.Tensor,
    labels: torch.Tensor,
    placed: Placed,
    shape: tuple[int, ...],
    confidence: float,
    iou: float,
    max_boxes: int,
) -> Detections:
    """Of one picture's raw boxes those that count, without overlaps, in its own pixels and cut to it."""
    strong = confidences >= confidence
    corners, confidences, labels = corners[strong].float(), confidences[strong].float(), labels[strong]
    kept = batched_nms(corners, confidences, labels, iou)[:max_boxes]
    height, width = shape
    own: Any = placed.back(corners[kept].cpu().numpy().astype(np.float64)).clip(0, (width, height, width, height))
    solid = (own[:, 2] - own[:, 0] > 0.01) & (own[:, 3] - own[:, 1] > 0.01)
    return Detections(
        corners=own[solid],
        confidences=confidences[kept].cpu().numpy().astype(np.float64)[solid].clip(0, 1),
        labels=labels[kept].cpu().numpy().astype(np.int64)[solid],
    )
