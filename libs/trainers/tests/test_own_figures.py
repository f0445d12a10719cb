"""Ultralytics' own figures stand beside ours under their own names."""

from pathlib import Path

import numpy as np
import pytest

from studio9_trainers.detections import Detections
from studio9_trainers.evaluation.average_precision import average_precision
from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.yolo.quiet import ultralytics


def pictures(count: int) -> list[Judged]:
    made = []
    random = np.random.default_rng(4)
    for _ in range(count):
        left_top = random.uniform(0, 80, (6, 2))
        corners = np.hstack([left_top, left_top + random.uniform(10, 30, (6, 2))])
        labels = random.integers(0, 2, 6)
        found = Detections(corners + random.uniform(-3, 3, (6, 4)), np.sort(random.random(6))[::-1], labels)
        made.append(Judged(corners, labels, np.zeros(6, dtype=bool), found))
    return made


def test_they_are_close_to_ours_but_not_the_same(tmp_path: Path) -> None:
    ultralytics(tmp_path, 1)
    from studio9_trainers.yolo.own_figures import own_figures

    judged = pictures(40)
    own, ours = own_figures(judged, 2), average_precision(judged, 2, 100)
    assert own["ultralytics/mAP50"] == pytest.approx(ours.map50, abs=0.02)
    assert own["ultralytics/mAP50-95"] == pytest.approx(ours.map50_95, abs=0.02)
    assert own["ultralytics/mAP50-95"] != ours.map50_95
    nothing = Judged(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool), Detections(*map(np.zeros, ((0, 4), 0, 0))))
    assert own_figures([nothing], 2) == {"ultralytics/mAP50": 0.0, "ultralytics/mAP50-95": 0.0}
