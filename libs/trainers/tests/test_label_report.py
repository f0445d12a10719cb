"""A classifier's report."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss

from studio9_task.events import Artifact
from studio9_task.judgement import ClassificationReport
from studio9_task.report import EventWriter
from studio9_trainers.evaluation.accuracy import JudgedLabel
from studio9_trainers.evaluation.label_report import make_label_report, write_label_report

NAMES = ("a", "b", "c", "never")


def some(count: int) -> list[JudgedLabel]:
    random = np.random.default_rng(2)
    made = []
    for _ in range(count):
        scores = random.dirichlet((1, 1, 1)).round(1)
        true = int(scores.argmax()) if random.random() < 0.7 else int(random.integers(3))
        made.append(JudgedLabel(true, scores / scores.sum()))
    return made


def test_its_figures_are_those_of_a_known_library() -> None:
    pictures = some(300)
    report = make_label_report([*pictures, JudgedLabel(None, np.ones(3) / 3)], NAMES, "test")
    true = np.array([one.true for one in pictures])
    scores = np.array([one.scores for one in pictures])
    assert report.pictures == 300
    assert report.accuracy == pytest.approx((scores.argmax(axis=1) == true).mean())
    assert report.log_loss == pytest.approx(log_loss(true, scores.clip(1e-12, 1)), abs=1e-6)
    for number, one in enumerate(report.per_label[:3]):
        assert one.average_precision == pytest.approx(average_precision_score(true == number, scores[:, number]))
        assert one.precision is not None and one.recall is not None
        assert one.f1 == pytest.approx(2 * one.precision * one.recall / (one.precision + one.recall))
    never = report.per_label[3]
    assert (never.pictures, never.predicted, never.precision, never.recall, never.f1) == (0, 0, None, None, 0)
    assert report.in_best_five == 1
    assert 0 < report.calibration.expected_error < 0.5


def test_it_is_written_with_its_plots(job: Any, told: Any) -> None:
    folder = job("evaluate", test=())
    report = make_label_report(some(40), NAMES, "test")
    with EventWriter(folder.events, folder.outputs) as events:
        write_label_report(folder.outputs, events, report)
    assert ClassificationReport.model_validate_json((folder.outputs / "report.json").read_bytes()) == report
    names = {event.name for event in told(folder) if isinstance(event, Artifact)}
    assert names == {"report", "plot.confusion", "plot.reliability"}


def test_nothing_to_judge() -> None:
    report = make_label_report([], NAMES, "test")
    assert (report.pictures, report.accuracy, report.log_loss) == (0, 0, 0)
