"""What a model gives so that it can be exported: its module, and the way from pixels to results around it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.capabilities import Task
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.errors import Unsupported

Array = np.ndarray[Any, np.dtype[np.float32]]
Outputs = tuple[Array, ...]
Finish = Callable[[Outputs, Sequence[tuple[int, ...]], float, float, int], list[Detections]]
"""(outputs of a batch, (height, width) of its pictures, least confidence, IoU, most boxes) to boxes in the pictures."""


@dataclass(frozen=True)
class Exportable:
    """A model taken apart. The module maps (batch, 3, height, width) in single precision to `outputs`.

    `meanings`: what each output holds, in words. `prepare`: a picture as (3, height, width). `split`: outputs as
    (boxes: batch, place, 4 corners in the input's pixels, or none; scores: batch, place, label), which is what is
    compared. `finish`: none for classifiers. `fixed`: it takes squares of `side` alone. `ordered`: whether a box keeps
    its place among the outputs whatever computes them; queries that are chosen by their scores may change places.
    """

    task: Task
    labels: tuple[str, ...]
    thresholds: Thresholds
    module: torch.nn.Module
    outputs: tuple[str, ...]
    meanings: tuple[str, ...]
    side: int
    prepare: Callable[[Pixels], Array]
    split: Callable[[Outputs], tuple[Array | None, Array]]
    finish: Finish | None = None
    pixels: str = ""
    fixed: bool = False
    ordered: bool = True
    input_name: str = "pixels"

    def example(self, batch: int = 1) -> torch.Tensor:
        """An input to trace the module with."""
        return torch.rand(batch, 3, self.side, self.side, generator=torch.Generator().manual_seed(0))


@runtime_checkable
class CanExport(Protocol):
    """A model that can be exported."""

    def exportable(self) -> Exportable:
        """Taken apart; the module is a copy of its own, on the CPU."""


class Runner(Protocol):
    """A module at work, in whatever program."""

    def __call__(self, pixels: Array) -> Outputs:
        """The outputs of one batch."""


class TorchRunner:
    """The module itself: what exports are compared with."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    @torch.inference_mode()
    def __call__(self, pixels: Array) -> Outputs:
        """See Runner."""
        return plain(self._module(torch.from_numpy(pixels)))


def plain(found: Any) -> Outputs:
    """A module's outputs as arrays."""
    tensors = found if isinstance(found, tuple | list) else (found,)
    return tuple(tensor.detach().cpu().numpy() for tensor in tensors)


@dataclass(frozen=True)
class ExportedDetector:
    """An exported model as a detector, so that it can be evaluated like any other."""

    model: Exportable
    runner: Runner
    batch: int = 8

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""
        return self.model.labels

    @property
    def thresholds(self) -> Thresholds:
        """Those stored with the model."""
        return self.model.thresholds

    def save(self, path: Path) -> Written:
        """Exported files stay as they are. Raises Unsupported."""
        raise Unsupported(f"{path.name}: an exported model is copied, not saved: keep the model it was made from.")

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """Boxes of each picture, in order."""
        if self.model.finish is None:
            raise Unsupported(f"The model does not detect: its task is {self.model.task}.")
        prepared = ((picture, pixels.shape[:2], self.model.prepare(pixels)) for picture, pixels in pictures)
        for _, same in groupby(prepared, key=lambda one: one[2].shape):
            one_shape = list(same)
            for begin in range(0, len(one_shape), self.batch):
                part = one_shape[begin : begin + self.batch]
                outputs = self.runner(np.stack([inputs for _, _, inputs in part]))
                found = self.model.finish(outputs, [shape for _, shape, _ in part], confidence, iou, max_boxes)
                yield from ((picture, boxes) for (picture, _, _), boxes in zip(part, found, strict=True))
