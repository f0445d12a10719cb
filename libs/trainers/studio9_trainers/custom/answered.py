"""A user's model at work: what it raises, and what it gives that is none, is the user's error and named."""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.capabilities import Task
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.errors import BadModel, Stopped, TaskError, UserError
from studio9_trainers.files import read_model, save_model
from studio9_trainers.models import Classifier, Detector, Model, Scores

ENTRY = "entry"
"""The option of a model file that names the class which loads it."""


@contextmanager
def answering(code: Path, doing: str) -> Iterator[None]:
    """What the block raises becomes a UserError, with file and line where it came from the user's `code`."""
    try:
        yield
    except (TaskError, Stopped, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(f"{code}/")]
        where = f" in {Path(own[-1].filename).relative_to(code)}, line {own[-1].lineno}" if own else ""
        raise user_code(
            f"Your trainer raised {type(error).__name__} while {doing}{where}: {error}. Mend it and start again."
        ) from error


def user_code(message: str) -> UserError:
    """The error for what a user's class does wrong."""
    return UserError(message, "user_code")


def answered(model: Model, task: Task, entry: str, code: Path) -> Model:
    """The model with its mistakes answered for. Raises UserError for one that can't do its task."""
    for name in ("names", "thresholds", "save"):
        if not hasattr(model, name):
            raise user_code(f"Your trainer's export_model() gave a model without {name}: add it.")
    names = tuple(model.names)
    if not names or not all(isinstance(name, str) for name in names):
        raise user_code("Your model's names are not its labels: give a tuple of texts.")
    if task == "detect" and isinstance(model, Detector):
        return OwnDetector(model, names, entry, code)
    if task == "classify" and isinstance(model, Classifier):
        return OwnClassifier(model, names, entry, code)
    raise user_code(f"Your trainer's export_model() gave a model without {task}(): add it.")


@dataclass(frozen=True)
class Own:
    """What both kinds share."""

    model: Model
    names: tuple[str, ...]
    entry: str
    code: Path

    @property
    def thresholds(self) -> Thresholds:
        """See Model.thresholds."""
        return self.model.thresholds

    def save(self, path: Path) -> Written:
        """See Model.save; the class that loads it stands in its options."""
        with answering(self.code, "saving the model"):
            self.model.save(path)
        try:
            file = read_model(path)
        except BadModel as error:
            raise user_code(
                f"Your model's save() wrote no model file ({error}): use studio9_trainers.files.save_model."
            ) from None
        return save_model(path, replace(file, options={**file.options, ENTRY: self.entry}))


@dataclass(frozen=True)
class OwnDetector(Own):
    """See Detector."""

    model: Detector

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        """See Detector.detect."""
        with answering(self.code, "predicting"):
            for picture, found in self.model.detect(pictures, confidence, iou, max_boxes):
                count = len(found)
                shapes = (found.corners.shape, found.confidences.shape, found.labels.shape)
                known = count == 0 or (found.labels.min() >= 0 and found.labels.max() < len(self.names))
                if shapes != ((count, 4), (count,), (count,)) or not known or not np.isfinite(found.corners).all():
                    raise user_code(
                        f"Your model's detect() gave boxes that are none for {picture.record.picture_id}: corners of "
                        "shape (n, 4), confidences and labels of shape (n,), labels as indices of names."
                    )
                yield picture, found


@dataclass(frozen=True)
class OwnClassifier(Own):
    """See Classifier."""

    model: Classifier

    def classify(self, pictures: Iterable[tuple[Picture, Pixels]]) -> Iterator[tuple[Picture, Scores]]:
        """See Classifier.classify."""
        with answering(self.code, "predicting"):
            for picture, scores in self.model.classify(pictures):
                if scores.shape != (len(self.names),) or not np.isfinite(scores).all():
                    raise user_code(
                        f"Your model's classify() gave no scores for {picture.record.picture_id}: give one probability "
                        f"for each of the {len(self.names)} names."
                    )
                yield picture, scores
