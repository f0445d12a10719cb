"""Figures that can be trusted: against a short reference, and by what must add up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio9_task.parameters import Thresholds
from studio9_task.shapes import Box
from studio9_trainers.detections import Detections
from studio9_trainers.evaluation.figures import Judged, evaluate, judged
from studio9_trainers.evaluation.matching import match

NAMES = ("a", "b", "c")


def detections(rows: list[tuple[float, float, float, float, float, int]]) -> Detections:
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def a_picture(random: np.random.Generator, ignoring: bool = False) -> Judged:
    true, found = int(random.integers(0, 6)), int(random.integers(0, 9))
    left_top = random.uniform(0, 60, (true, 2)).round()
    corners = np.hstack([left_top, left_top + random.uniform(15, 40, (true, 2)).round()])
    labels = random.integers(0, len(NAMES), true)
    rows = []
    for _ in range(found):
        if true and random.random() < 0.7:
            pick = int(random.integers(true))
            moved = corners[pick] + random.uniform(-6, 6, 4)
            label = labels[pick] if random.random() < 0.8 else random.integers(len(NAMES))
        else:
            start = random.uniform(0, 60, 2)
            moved, label = np.hstack([start, start + random.uniform(5, 40, 2)]), random.integers(len(NAMES))
        rows.append((*moved, float(random.permutation(1000)[0]) / 1000, int(label)))
    ignore = random.random(true) < 0.3 if ignoring else np.zeros(true, dtype=bool)
    return Judged(corners, labels, ignore, detections(rows))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.01, 0.99), ignoring=st.booleans())
def test_the_matrix_adds_up(seed: int, confidence: float, ignoring: bool) -> None:
    random = np.random.default_rng(seed)
    pictures = [a_picture(random, ignoring) for _ in range(4)]
    figures = evaluate(pictures, NAMES, Thresholds(confidence=confidence), "test")
    assert figures.confusion is not None
    matrix = np.array(figures.confusion.matrix)
    for number in range(3):
        true = sum(int(((one.labels == number) & ~one.ignore).sum()) for one in pictures)
        assert matrix[number].sum() == figures.per_class[number].boxes == true
        found = sum(
            int(((one.found.labels == number) & (one.found.confidences >= confidence)).sum()) for one in pictures
        )
        assert matrix[:, number].sum() <= found
        if not ignoring:
            assert matrix[:, number].sum() == figures.per_class[number].predicted == found
    assert matrix[-1, -1] == 0
    assert figures.boxes == sum(one.boxes for one in figures.per_class)


def perfect() -> Judged:
    boxes = [Box(label="a", left=0, top=0, width=10, height=10), Box(label="b", left=20, top=0, width=10, height=10)]
    return judged(boxes, detections([(0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.8, 1)]), NAMES)


def test_a_perfect_model() -> None:
    figures = evaluate([perfect()], NAMES, Thresholds(), "test")
    assert (figures.map50, figures.map50_95, figures.recall_at_025, figures.precision_at_025) == (1, 1, 1, 1)
    assert figures.confusion is not None
    assert figures.confusion.matrix == ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))
    assert figures.per_class[2].ap50 is None


def test_wrong_labels_false_alarms_and_misses_have_their_places() -> None:
    boxes = [Box(label="a", left=0, top=0, width=10, height=10), Box(label="b", left=20, top=0, width=10, height=10)]
    found = detections([(0, 0, 10, 10, 0.9, 2), (50, 50, 60, 60, 0.8, 0), (20, 0, 30, 10, 0.1, 1)])
    figures = evaluate([judged(boxes, found, NAMES)], NAMES, Thresholds(confidence=0.5), "test")
    assert figures.confusion is not None
    assert figures.confusion.matrix == ((0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0), (1, 0, 0, 0))
    assert (figures.recall_at_025, figures.precision_at_025) == (0, 0)


@pytest.mark.parametrize(("boxes", "found"), [([], []), ([], [(0, 0, 9, 9, 0.9, 0)]), ([(0, 0)], [])])
def test_nothing_there_or_nothing_found(boxes: list[Any], found: list[Any]) -> None:
    true = [Box(label="a", left=left, top=top, width=9, height=9) for left, top in boxes]
    figures = evaluate([judged(true, detections(found), NAMES)], NAMES, Thresholds(), "test")
    assert (figures.map50, figures.recall_at_025, figures.predicted) == (0, 0, len(found))


def test_ignored_boxes_are_neither_hit_nor_miss() -> None:
    boxes = [
        Box(label="a", left=0, top=0, width=10, height=10, ignore=True),
        Box(label="a", left=50, top=0, width=9, height=9),
    ]
    found = detections([(0, 0, 10, 10, 0.9, 0), (50, 0, 59, 9, 0.8, 0)])
    figures = evaluate([judged(boxes, found, NAMES)], NAMES, Thresholds(), "test")
    assert (figures.boxes, figures.map50, figures.recall_at_025, figures.precision_at_025) == (1, 1, 1, 1)


def test_labels_of_interest_have_thresholds_of_their_own() -> None:
    found = detections([(0, 0, 9, 9, 0.4, 0), (0, 0, 9, 9, 0.6, 1), (0, 0, 9, 9, 0.9, 2)])
    assert found.at(Thresholds(confidence=0.5), NAMES).labels.tolist() == [1, 2]
    assert found.at(Thresholds(confidence=0.5, labels={"a": 0.3, "b": 0.7}), NAMES).labels.tolist() == [0]


def test_matching_takes_each_box_once_and_the_strongest_first() -> None:
    corners = np.array([[0, 0, 10, 10], [8, 0, 18, 10]], dtype=float)
    found = detections([(1, 0, 11, 10, 0.5, 0), (0, 0, 10, 10, 0.9, 0), (8, 0, 18, 10, 0.4, 0)])
    assert match(found, corners).tolist() == [-1, 0, 1]
