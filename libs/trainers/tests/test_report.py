"""Curves, thresholds, calibration, every box's fate, and the files that tell them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio9_task.events import Artifact
from studio9_task.judgement import EvaluationReport, JudgedPicture
from studio9_task.layout import TaskFolder
from studio9_task.lines import read_lines
from studio9_task.parameters import Thresholds
from studio9_task.pictures import read_manifest
from studio9_task.report import EventWriter
from studio9_task.shapes import Box
from studio9_trainers.data.dataset import Picture, read_pictures
from studio9_trainers.detections import Detections
from studio9_trainers.errors import UserError
from studio9_trainers.evaluation.boxes import judge_boxes
from studio9_trainers.evaluation.calibration import calibration
from studio9_trainers.evaluation.choosing import choose_thresholds
from studio9_trainers.evaluation.curves import ranked
from studio9_trainers.evaluation.figures import Judged, judged
from studio9_trainers.evaluation.report import make_report, write_report

NAMES = ("disc", "square")


def found(*rows: tuple[float, ...], scores: Any = None) -> Detections:
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), scores)


def squares(count: int, ignore: int = 0) -> list[Box]:
    return [Box(label="square", left=20 * n, top=0, width=10, height=10, ignore=n < ignore) for n in range(count)]


@pytest.fixture(scope="module")
def some() -> list[Judged]:
    """Two labels: discs are found surely, squares with a false alarm for each hit below 0.5."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(40):
        boxes = [Box(label="disc", left=0, top=40, width=10, height=10), *squares(2)]
        rows = [(0, 40, 10, 50, random.uniform(0.7, 1), 0), (0, 0, 10, 10, random.uniform(0.5, 0.9), 1)]
        rows += [(60, 60, 70, 70, random.uniform(0.05, 0.5), 1), (20, 0, 30, 10, random.uniform(0.05, 0.2), 1)]
        pictures.append(judged(boxes, found(*sorted(rows, key=lambda row: -row[4])), NAMES))
    return pictures


def test_curves_are_what_counting_at_each_confidence_gives(some: list[Judged]) -> None:
    each = ranked(some, 2)
    for label, one in enumerate(each):
        for confidence in (0.0, 0.1, 0.35, 0.5, 0.8, 1.0):
            hits, all_of_them = (float(value[0]) for value in one.counts(np.array([confidence])))
            counted = sum(int(((p.found.labels == label) & (p.found.confidences >= confidence)).sum()) for p in some)
            assert (all_of_them, hits <= all_of_them) == (counted, True)
    assert [one.boxes for one in each] == [40, 80]
    curves = make_report(some, NAMES, Thresholds(), "val").curves
    assert curves[0].recall[0] == 1.0
    assert curves[0].f1[0] == 1.0
    assert curves[1].precision[100] is None
    assert curves[1].recall[50] == 0.5


def test_thresholds_are_chosen_where_f1_is_best_and_never_on_the_test_pictures(some: list[Judged]) -> None:
    chosen = choose_thresholds(some, NAMES, "val", Thresholds(iou=0.6))
    assert chosen.thresholds.iou == 0.6
    assert chosen.thresholds.labels["disc"] < 0.75
    each = ranked(some, 2)
    for label, name in enumerate(NAMES):
        best = max(float(value) for value in each[label].f1(np.linspace(0, 1, 2001)))
        assert chosen.f1[name] == pytest.approx(best, abs=1e-9)
    with pytest.raises(UserError, match="never chosen on the test"):
        choose_thresholds(some, NAMES, "test")


def test_labels_that_validation_does_not_show_get_the_common_threshold() -> None:
    one = [judged(squares(1), found((0, 0, 10, 10, 0.8, 1)), NAMES)]
    chosen = choose_thresholds(one, NAMES, "val")
    assert chosen.thresholds.labels["disc"] == chosen.thresholds.confidence == 0.4
    assert chosen.f1 == {"square": 1.0}
    nothing = choose_thresholds([judged([], found(), NAMES)], NAMES, "val", Thresholds(confidence=0.3))
    assert (nothing.thresholds.confidence, nothing.f1) == (0.3, {})


def test_calibration() -> None:
    sure = np.array([0.95] * 10 + [0.55] * 10 + [0.001] * 1000)
    right = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5 + [False] * 1000)
    told = calibration(sure, right)
    assert told.predictions == 20
    assert told.expected_error == pytest.approx(0.05)
    assert [(one.count, one.right) for one in told.bins if one.count] == [(10, 0.5), (10, 0.9)]
    assert calibration(np.zeros(0), np.zeros(0)).expected_error == 0


def test_every_box_has_its_fate(job: Any) -> None:
    record = next(iter(read_manifest(job("evaluate", test=[1]).manifest("test"))))
    one = judged(
        squares(4, ignore=1),
        found(
            (20, 0, 30, 10, 0.9, 1), (40, 0, 50, 9, 0.8, 0), (1, 1, 9, 9, 0.7, 1), (80, 80, 90, 90, 0.6, 1),
            scores=np.array([[0.1, 0.9], [0.8, 0.15], [0.2, 0.7], [0.3, 0.6]]),
        ),
        NAMES,
    )  # fmt: skip
    fate = judge_boxes(Picture(record, Path("none"), ()), one, NAMES, Thresholds(), "test")
    assert [(box.right, box.counts, box.matched, box.iou) for box in fate.predicted] == [
        (True, True, 1, 1.0), (False, True, 2, 0.9), (False, False, 0, 1.0), (False, True, None, None)
    ]  # fmt: skip
    assert fate.predicted[1].scores == {"disc": 0.8, "square": 0.15}
    assert [box.found for box in fate.true] == [True, True, True, False]
    assert fate.wrong == 3


def test_the_report_is_written_with_its_pictures(job: Any, told: Any) -> None:
    folder: TaskFolder = job("evaluate", test=range(3))
    pictures = read_pictures(folder, "test")
    seen = []
    for number, picture in enumerate(pictures.pictures):
        rows = [(*box.corners, 0.9 - 0.1 * at, NAMES.index(box.label)) for at, box in enumerate(picture.boxes)]
        seen.append((picture, judged(picture.boxes, found(*rows[number:]), NAMES)))
    report = make_report([one for _, one in seen], NAMES, Thresholds(), "test", {"ultralytics/mAP50": 0.5})
    folder.events.unlink(missing_ok=True)
    with EventWriter(folder.events, folder.outputs) as events:
        write_report(folder.outputs, events, report, seen)
    announced = {event.name: event for event in told(folder) if isinstance(event, Artifact)}
    assert EvaluationReport.model_validate_json((folder.outputs / "report.json").read_bytes()) == report
    assert report.framework == {"ultralytics/mAP50": 0.5}
    assert len(list(read_lines(folder.outputs / "judged.jsonl", JudgedPicture))) == 3
    plots = {name for name, event in announced.items() if event.media_type == "image/png"}
    assert {"plot.precision-recall", "plot.f1", "plot.confusion", "plot.reliability"} <= plots
    assert {"plot.worst-01", "plot.worst-02"} <= plots
    assert "plot.worst-03" not in plots
    for name in plots:
        content = (folder.outputs / announced[name].path).read_bytes()
        assert min(Image.open(io.BytesIO(content)).size) >= 96
