"""COCO's mAP three ways: faster-coco-eval, pycocotools, and a short reference of our own."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from studio9_trainers.detections import Detections
from studio9_trainers.evaluation import average_precision as module
from studio9_trainers.evaluation.average_precision import average_precision
from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.evaluation.matching import covered, overlaps

LABELS = 2
STEPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def case(seed: int) -> list[Judged]:
    """A few pictures: among them empty ones, crowds, equal confidences, equal overlaps; some with over 100 objects."""
    random = np.random.default_rng(seed)
    many = seed % 100 == 0
    return [_picture(random, many) for _ in range(1 if many else int(random.integers(1, 4)))]


def _picture(random: np.random.Generator, many: bool) -> Judged:
    true = 130 if many else int(random.integers(0, 5))
    found = 160 if many else int(random.integers(0, 7))
    corners = _boxes(random, true, 400 if many else 50)
    labels = random.integers(0, LABELS, true)
    ignore = random.random(true) < (0.25 if random.random() < 0.5 else 0)
    boxes = _boxes(random, found, 400 if many else 50)
    own = random.integers(0, LABELS, found)
    for row in range(found):
        if true and random.random() < 0.75:
            pick = int(random.integers(true))
            boxes[row] = corners[pick] + random.integers(-3, 4, 4)
            own[row] = labels[pick] if random.random() < 0.8 else own[row]
    confidences = random.integers(1, 8, found) / 8 if random.random() < 0.5 else random.random(found)
    order = np.argsort(-confidences, kind="stable")
    return Judged(corners, labels, ignore, Detections(boxes[order], confidences[order], own[order]))


def _boxes(random: np.random.Generator, count: int, side: int) -> Any:
    left_top = random.integers(0, side, (count, 2)).astype(float)
    return np.hstack([left_top, left_top + random.integers(8, 30, (count, 2))])


def reference(pictures: list[Judged], label: int, most: int) -> list[float] | None:
    """COCO's rule in short, at each of the ten overlaps; none where no picture shows the label.

    The strongest `most` detections of a picture, each in turn: the free true box it overlaps most, the later one of
    equals; else a crowd that holds it, and then it does not count.
    """
    total = 0
    scores: list[float] = []
    fates: list[list[int]] = []  # by detection and step: 1 hit, 0 miss, -1 does not count
    for picture in pictures:
        mine = picture.labels == label
        real, crowd = picture.corners[mine & ~picture.ignore], picture.corners[mine & picture.ignore]
        total += len(real)
        own = picture.found.labels == label
        boxes, strength = picture.found.corners[own][:most], picture.found.confidences[own][:most]
        close = overlaps(boxes, real)
        held = covered(boxes, crowd).max(axis=1) if len(crowd) else np.zeros(len(boxes))
        free = [list(range(len(real))) for _ in STEPS]
        for row in range(len(boxes)):
            fate = []
            for step, least in enumerate(STEPS):
                best = max(free[step], key=lambda at: (close[row, at], at), default=None)
                if best is not None and close[row, best] >= least - 1e-10:
                    free[step].remove(best)
                    fate.append(1)
                else:
                    fate.append(-1 if held[row] >= least - 1e-10 else 0)
            fates.append(fate)
            scores.append(strength[row])
    if total == 0:
        return None
    order = np.argsort(-np.array(scores), kind="stable")
    table = np.array(fates, dtype=int).reshape(-1, len(STEPS))[order]
    return [_area(column[column >= 0], total) for column in table.T]


def _area(hits: Any, total: int) -> float:
    if len(hits) == 0:
        return 0.0
    recall = np.cumsum(hits) / total
    precision = np.maximum.accumulate((np.cumsum(hits) / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())


def pycocotools_figures(pictures: list[Judged], most: int) -> tuple[float, float] | None:
    """(mAP50, mAP) by pycocotools; none where it raises, as it does without detections."""
    truth, found = module._truth(pictures, LABELS), module._found(pictures)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        try:
            judge = COCOeval(coco, coco.loadRes(found), "bbox")
        except IndexError:
            return None
        judge.params.maxDets = [1, 10, most]
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][:, :, :, 0, -1]
    half, whole = table[:1][table[:1] > -1], table[table > -1]
    return (float(half.mean()), float(whole.mean())) if whole.size else None


def test_a_thousand_cases_equal_our_own_reference() -> None:
    for seed in range(1000):
        pictures = case(seed)
        figures = average_precision(pictures, LABELS, 100)
        each = [reference(pictures, label, 100) for label in range(LABELS)]
        half = [None if one is None else one[0] for one in each]
        whole = [None if one is None else float(np.mean(one)) for one in each]
        assert figures.ap50 == pytest.approx(half, abs=1e-6), seed
        assert figures.ap50_95 == pytest.approx(whole, abs=1e-6), seed
        known = [one for one in whole if one is not None]
        assert figures.map50_95 == pytest.approx(np.mean(known) if known else 0.0, abs=1e-6), seed


def test_pycocotools_says_the_same_wherever_it_answers() -> None:
    answered = 0
    for seed in range(0, 1000, 4):
        pictures = case(seed)
        if (theirs := pycocotools_figures(pictures, 100)) is not None:
            ours = average_precision(pictures, LABELS, 100)
            assert (ours.map50, ours.map50_95) == pytest.approx(theirs, abs=1e-9), seed
            answered += 1
    assert answered > 150


def test_a_curve_is_the_precision_that_its_figure_is_the_mean_of() -> None:
    figures = average_precision(case(100), LABELS, 100)
    for ap50, curve in zip(figures.ap50, figures.curves, strict=True):
        assert curve is not None
        assert np.mean(curve) == pytest.approx(ap50, abs=1e-12)
        assert list(curve) == sorted(curve, reverse=True)
