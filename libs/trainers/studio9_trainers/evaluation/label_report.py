"""A classifier's whole account: each label's quality, what was taken for what, and how far scores can be trusted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio9_task.judgement import ClassificationReport, LabelQuality
from studio9_task.outputs import write_bytes
from studio9_task.report import EventWriter
from studio9_task.results import ConfusionMatrix
from studio9_trainers.evaluation.accuracy import JudgedLabel, evaluate_labels
from studio9_trainers.evaluation.calibration import calibration

LEAST = 1e-12
"""A score counts as at least this in the log loss."""

Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def make_label_report(pictures: Sequence[JudgedLabel], names: tuple[str, ...], source: str) -> ClassificationReport:
    """Over the pictures that have a true label; labels that the model does not know have a score of 0."""
    known = [one for one in pictures if one.true is not None]
    figures = evaluate_labels(known, names, source)
    true = np.array([one.true for one in known], dtype=np.int64)
    scores = np.zeros((len(known), len(names)))
    for row, one in enumerate(known):
        scores[row, : len(one.scores)] = one.scores
    best = np.argsort(-scores, axis=1, kind="stable")
    own = scores[np.arange(len(true)), true]
    sure = scores.max(axis=1) if len(known) else np.zeros(0)
    return ClassificationReport(
        input=source,
        pictures=len(known),
        labels=names,
        accuracy=figures.accuracy or 0.0,
        in_best_five=float((best[:, :5] == true[:, None]).any(axis=1).mean()) if len(known) else 0.0,
        log_loss=float(-np.log(own.clip(LEAST, 1)).mean()) if len(known) else 0.0,
        per_label=tuple(
            _quality(name, number, true, best[:, 0] if len(known) else true, scores[:, number])
            for number, name in enumerate(names)
        ),
        confusion=figures.confusion or ConfusionMatrix(labels=names, matrix=()),
        calibration=calibration(sure, best[:, 0] == true if len(known) else np.zeros(0)),
    )


def write_label_report(outputs: Path, events: EventWriter, report: ClassificationReport, drawn: bool = True) -> None:
    """Write and announce `report.json`, and with `drawn` `plots/*.png`."""
    written = write_bytes(outputs / "report.json", report.model_dump_json(exclude_none=True).encode())
    events.artifact("report", written, "application/json")
    if not drawn:
        return
    from studio9_trainers.evaluation.plots import confusion_plot, reliability_plot  # its library takes a second

    plots = {"confusion": confusion_plot(report.confusion), "reliability": reliability_plot(report.calibration)}
    for name, content in plots.items():
        events.artifact(f"plot.{name}", write_bytes(outputs / "plots" / f"{name}.png", content), "image/png")


def _quality(name: str, number: int, true: Ints, predicted: Ints, scores: Values) -> LabelQuality:
    shown, said = int((true == number).sum()), int((predicted == number).sum())
    hits = int(((true == number) & (predicted == number)).sum())
    return LabelQuality(
        label=name,
        pictures=shown,
        predicted=said,
        precision=hits / said if said else None,
        recall=hits / shown if shown else None,
        f1=2 * hits / (shown + said) if shown + said else 0.0,
        average_precision=_average_precision(true == number, scores) if shown else None,
    )


def _average_precision(right: Any, scores: Values) -> float:
    """The mean, over the pictures that show the label, of the precision down to each; equal scores share a place."""
    order = np.argsort(-scores, kind="stable")
    hits, places = np.cumsum(right[order]), np.arange(1, len(order) + 1)
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    return float((hits[last] / places[last])[right[order]].mean())
