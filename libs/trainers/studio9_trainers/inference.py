"""A model over the pictures of an input: decode, find, judge, write down."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from studio9_task.parameters import Thresholds
from studio9_task.results import Evaluation, PredictedPicture
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.decode import Pixels, decode
from studio9_trainers.detections import predicted
from studio9_trainers.errors import BadPicture
from studio9_trainers.evaluation.accuracy import JudgedLabel, evaluate_labels
from studio9_trainers.evaluation.figures import Judged, evaluate, judged
from studio9_trainers.models import Classifier, Detector, Model, Reconstructor, Scores
from studio9_trainers.run import Run
from studio9_trainers.truth import label_of

FLOOR = 0.001
"""The lowest confidence that counts in average precision."""


@dataclass
class Seen:
    """What going through the pictures has shown."""

    names: tuple[str, ...]
    judged: list[Judged | JudgedLabel | float] = field(default_factory=list)
    """Of each picture that was judged, in order: boxes, a label, or a reconstruction loss."""
    owners: list[Picture] = field(default_factory=list)
    pictures: int = 0
    boxes: int = 0
    without: int = 0
    failed: int = 0

    def figures(self, thresholds: Thresholds, source: str, only: Collection[str] | None = None) -> Evaluation:
        """The figures of all judged pictures, or of those with these ids."""
        kept = [
            one
            for one, owner in zip(self.judged, self.owners, strict=True)
            if only is None or owner.record.picture_id in only
        ]
        boxes = [one for one in kept if isinstance(one, Judged)]
        labels = [one for one in kept if isinstance(one, JudgedLabel)]
        losses = [one for one in kept if isinstance(one, float)]
        if losses:
            return Evaluation(
                input=source,
                pictures=len(losses),
                boxes=0,
                predicted=0,
                labels=(),
                reconstruction_loss=float(np.mean(losses)),
            )
        return (
            evaluate_labels(labels, self.names, source) if labels else evaluate(boxes, self.names, thresholds, source)
        )


@dataclass(frozen=True)
class Inference:
    """One model at the job's thresholds. `done` is called after each picture."""

    run: Run
    model: Model
    thresholds: Thresholds
    done: Callable[[], None]

    def predict(self, pictures: PictureSet, seen: Seen, judge: bool) -> Iterator[PredictedPicture]:
        """Yield what is predicted at the thresholds; with `judge` also keep what the figures need.

        A picture that can't be decoded is an error while judging, else it is told as a warning and passed over.
        """
        decoded = self._decoded(pictures.pictures, seen, judge)
        match self.model:
            case Detector() as model:
                found = self._boxes(model, decoded, pictures.name, seen, judge)
            case Classifier() as model:
                found = self._labels(model, decoded, pictures.name, seen, judge)
            case Reconstructor() as model:
                found = self._losses(model, decoded, pictures.name, seen, judge)
            case _:
                raise TypeError(f"{type(self.model).__name__} neither detects nor classifies nor reconstructs")
        for one in found:
            self.run.stop.check()
            seen.pictures += 1
            self.done()
            yield one

    def _boxes(
        self, model: Detector, decoded: Iterable[tuple[Picture, Pixels]], source: str, seen: Seen, judge: bool
    ) -> Iterator[PredictedPicture]:
        floor = FLOOR if judge else self._least()
        for picture, found in model.detect(decoded, floor, self.thresholds.iou, self.thresholds.max_boxes):
            if judge:
                seen.judged.append(judged(picture.boxes, found, seen.names, picture.marks))
                seen.owners.append(picture)
            kept = found.at(self.thresholds, model.names)
            seen.boxes += len(kept)
            seen.without += len(kept) == 0
            yield predicted(picture, kept, model.names, source)

    def _labels(
        self, model: Classifier, decoded: Iterable[tuple[Picture, Pixels]], source: str, seen: Seen, judge: bool
    ) -> Iterator[PredictedPicture]:
        for picture, scores in model.classify(decoded):
            if judge:
                true = label_of(picture)
                seen.judged.append(JudgedLabel(None if true is None else seen.names.index(true), scores))
                seen.owners.append(picture)
            yield labelled(picture, scores, model.names, source)

    def _losses(
        self, model: Reconstructor, decoded: Iterable[tuple[Picture, Pixels]], source: str, seen: Seen, judge: bool
    ) -> Iterator[PredictedPicture]:
        for picture, _, loss in model.reconstruct(decoded):
            if judge:
                seen.judged.append(float(loss))
                seen.owners.append(picture)
            yield _bare(picture, source)

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


def labelled(picture: Picture, scores: Scores, names: tuple[str, ...], source: str) -> PredictedPicture:
    """What `predictions.jsonl` says of a classified picture."""
    shown = {name: round(min(1.0, max(0.0, float(score))), 6) for name, score in zip(names, scores, strict=True)}
    return _bare(picture, source).model_copy(update={"label": names[int(scores.argmax())], "scores": shown})


def _bare(picture: Picture, source: str) -> PredictedPicture:
    record = picture.record
    return PredictedPicture(
        picture_id=record.picture_id, input=source, sha256=record.sha256, width=record.width, height=record.height
    )
