"""A detector over the pictures of an input: decode, detect, judge, write down."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from studio9_task.parameters import Thresholds
from studio9_task.results import PredictedPicture
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.decode import Pixels, decode
from studio9_trainers.detections import Detections, predicted
from studio9_trainers.errors import BadPicture
from studio9_trainers.evaluation.figures import Judged, judged
from studio9_trainers.run import Run
from studio9_trainers.trainer import Detector

FLOOR = 0.001
"""The lowest confidence that counts in average precision."""


@dataclass
class Seen:
    """What going through the pictures has shown."""

    names: tuple[str, ...]
    judged: list[Judged] = field(default_factory=list)
    owners: list[Picture] = field(default_factory=list)
    pictures: int = 0
    boxes: int = 0
    without: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Inference:
    """One detector at the job's thresholds. `done` is called after each picture."""

    run: Run
    detector: Detector
    thresholds: Thresholds
    done: Callable[[], None]

    def predict(self, pictures: PictureSet, seen: Seen, judge: bool) -> Iterator[PredictedPicture]:
        """Yield what is predicted at the thresholds; with `judge` also keep what average precision needs.

        A picture that can't be decoded is an error while judging, else it is told as a warning and passed over.
        """
        floor = FLOOR if judge else self._least()
        for picture, found in self._detect(self._decoded(pictures.pictures, seen, judge), floor):
            self.run.stop.check()
            if judge:
                seen.judged.append(judged(picture.boxes, found, seen.names))
                seen.owners.append(picture)
            kept = found.at(self.thresholds, self.detector.names)
            seen.pictures += 1
            seen.boxes += len(kept)
            seen.without += len(kept) == 0
            self.done()
            yield predicted(picture, kept, self.detector.names, pictures.name)

    def _detect(self, decoded: Iterable[tuple[Picture, Pixels]], floor: float) -> Iterator[tuple[Picture, Detections]]:
        return self.detector.detect(decoded, floor, self.thresholds.iou, self.thresholds.max_boxes)

    def _least(self) -> float:
        labels = self.thresholds.labels
        return min(labels.values()) if labels else self.thresholds.confidence

    def _decoded(self, pictures: Iterable[Picture], seen: Seen, judge: bool) -> Iterator[tuple[Picture, Pixels]]:
        for picture in pictures:
            record = picture.record
            try:
                with self.run.timed("data_loading"):
                    pixels = decode(picture.path, record.filename or record.picture_id)
            except BadPicture as error:
                if judge:
                    raise
                seen.failed += 1
                self.run.warn("bad_picture", str(error))
                continue
            yield picture, pixels
