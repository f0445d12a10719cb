"""What trained models can do, by task; whatever framework made them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections

Scores = np.ndarray[Any, np.dtype[np.float64]]
"""One probability a label, in the order of the model's names; they add up to 1."""


class Model(Protocol):
    """What every trained model has."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""

    @property
    def thresholds(self) -> Thresholds:
        """Those that are stored with it."""

    def save(self, path: Path) -> Written:
        """Write it as a whole; the file loads without running any code of its own."""


@runtime_checkable
class Detector(Model, Protocol):
    """A model that finds boxes."""

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """Boxes of at least this confidence, in pixels of each picture; the pictures come back in order."""


@runtime_checkable
class ShapeFinder(Detector, Protocol):
    """A detector that finds more than boxes: masks, keypoints or turned boxes, as `shapes` of its detections."""

    @property
    def shape(self) -> str:
        """The kind of shape, as the contract names it."""


@runtime_checkable
class Classifier(Model, Protocol):
    """A model that gives a picture one label."""

    def classify(self, pictures: Iterable[tuple[Picture, Pixels]]) -> Iterator[tuple[Picture, Scores]]:
        """The scores of each picture; the pictures come back in order."""


@runtime_checkable
class Reconstructor(Model, Protocol):
    """A model that puts a picture together again from what it has learned of it."""

    def reconstruct(self, pictures: Iterable[tuple[Picture, Pixels]]) -> Iterator[tuple[Picture, Pixels, float]]:
        """Each picture as the model gives it back, in the model's size, and its reconstruction loss: the mean
        squared error a pixel and colour, of values from 0 to 1. The pictures come back in order."""
