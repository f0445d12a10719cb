"""Figures of a classifier: which part of the pictures got the right label, and what was taken for what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio9_task.results import ConfusionMatrix, Evaluation, LabelFigures
from studio9_trainers.models import Scores


@dataclass(frozen=True)
class JudgedLabel:
    """One picture: the index of its true label (none where it has none) and the scores it got."""

    true: int | None
    scores: Scores


def evaluate_labels(pictures: Sequence[JudgedLabel], names: tuple[str, ...], source: str) -> Evaluation:
    """Accuracy and confusion matrix (rows actual); its last row and column, the background, stay empty.

    Pictures without a true label are passed over.
    """
    matrix = np.zeros((len(names) + 1, len(names) + 1), dtype=np.int64)
    for picture in pictures:
        if picture.true is not None:
            matrix[picture.true, int(picture.scores.argmax())] += 1
    total = int(matrix.sum())
    return Evaluation(
        input=source,
        pictures=len(pictures),
        boxes=total,
        predicted=total,
        labels=names,
        accuracy=float(np.trace(matrix)) / total if total else 0.0,
        per_class=tuple(
            LabelFigures(label=name, boxes=int(matrix[number].sum()), predicted=int(matrix[:, number].sum()))
            for number, name in enumerate(names)
        ),
        confusion=ConfusionMatrix(labels=names, matrix=tuple(tuple(map(int, row)) for row in matrix)),
    )
