"""Sliced prediction: a detector that looks at large pictures tile by tile, and puts together what it finds."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_task.tiles import Sliced
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.errors import UserError
from studio9_trainers.merging.merge import merge
from studio9_trainers.models import Detector, Model, ShapeFinder
from studio9_trainers.tiling.cutting import cut, cut_pixels
from studio9_trainers.tiling.grid import Tile


def sliced(model: Model, how: Sliced | None) -> Model:
    """The model looking tile by tile, where that is wanted. Raises UserError for one that does not detect."""
    if how is None:
        return model
    if not isinstance(model, Detector):
        raise UserError("sliced: the model finds no boxes: leave it out.", "bad_parameters")
    if isinstance(model, ShapeFinder):
        raise UserError("sliced: of tiles only upright boxes are put together: leave it out.", "bad_parameters")
    return SlicedDetector(model, how)


@dataclass(frozen=True)
class SlicedDetector:
    """A detector of small objects in large pictures; itself a detector, so that figures are those of the pictures."""

    detector: Detector
    sliced: Sliced

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""
        return self.detector.names

    @property
    def thresholds(self) -> Thresholds:
        """Those stored with the model."""
        return self.detector.thresholds

    def save(self, path: Path) -> Written:
        """Write the model's file; how it was used is no part of it."""
        return self.detector.save(path)

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """Merged boxes of each picture, in its pixels, at most `max_boxes`; batches hold tiles of several pictures."""

        def looks() -> Iterator[tuple[Picture, Tile | None, bool, Pixels]]:
            for picture, pixels in pictures:
                parts: list[tuple[Tile | None, Pixels]] = list(cut_pixels(pixels, self.sliced.tiles))
                if self.sliced.whole and len(parts) > 1:
                    parts.append((None, pixels))
                for number, (tile, part) in enumerate(parts, 1):
                    yield picture, tile, number == len(parts), part

        yield from self._merged(looks(), confidence, iou, max_boxes)

    def detect_file(self, picture: Picture, confidence: float, iou: float, max_boxes: int) -> Detections:
        """Merged boxes of a picture that need not fit in memory; it is not looked at as a whole."""
        name = picture.record.filename or picture.record.picture_id
        pending: deque[tuple[Tile, Pixels]] = deque()

        def looks() -> Iterator[tuple[Picture, Tile | None, bool, Pixels]]:
            for one in cut(picture.path, self.sliced.tiles, name):
                if pending:
                    tile, part = pending.popleft()
                    yield picture, tile, False, part
                pending.append(one)
            tile, part = pending.popleft()
            yield picture, tile, True, part

        ((_, found),) = self._merged(looks(), confidence, iou, max_boxes)
        return found

    def _merged(
        self,
        looks: Iterable[tuple[Picture, Tile | None, bool, Pixels]],
        confidence: float,
        iou: float,
        max_boxes: int,
    ) -> Iterator[tuple[Picture, Detections]]:
        waiting: deque[tuple[Tile | None, bool]] = deque()

        def parts() -> Iterator[tuple[Picture, Pixels]]:
            for picture, tile, last, part in looks:
                waiting.append((tile, last))
                yield picture, part

        found: list[Detections] = []
        for picture, part in self.detector.detect(parts(), confidence, iou, max_boxes):
            tile, last = waiting.popleft()
            found.append(part if tile is None else _placed(part, tile))
            if last:
                yield picture, _strongest(merge(joined(found), self.sliced.merging), max_boxes)
                found = []


def joined(parts: Sequence[Detections]) -> Detections:
    """Several sets of boxes as one, unmerged."""
    scores = [part.scores for part in parts if part.scores is not None]
    return Detections(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.confidences for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate(scores) if len(scores) == len(parts) else None,
    )


def _placed(found: Detections, tile: Tile) -> Detections:
    """A tile's boxes in the picture's coordinates; those in its padding end at the picture's border."""
    corners = found.corners.clip(0, (tile.width, tile.height, tile.width, tile.height))
    solid = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    scores = None if found.scores is None else found.scores[solid]
    return Detections(tile.to_picture(corners[solid]), found.confidences[solid], found.labels[solid], scores)


def _strongest(found: Detections, most: int) -> Detections:
    scores = None if found.scores is None else found.scores[:most]
    return Detections(found.corners[:most], found.confidences[:most], found.labels[:most], scores)
