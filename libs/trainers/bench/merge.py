"""Measures merging: ours, and SAHI's on arrays and on its objects."""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from answering import answer, one_core
from sahi.postprocess.combine import GreedyNMMPostprocess, batched_greedy_nmm
from sahi.prediction import ObjectPrediction

from studio9_task.tiles import Merging
from studio9_trainers.detections import Detections
from studio9_trainers.merging.merge import merge
from studio9_trainers.merging.owners import owners

LABELS, OVERLAP = 5, 0.5


@cache
def layout(name: str, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Corners, score, label. Sparse: boxes anywhere on 40,000 pixels; dense: about 20 for each of the objects on 4,000,
    which lie over each other too. In single precision, as detectors give them and SAHI's objects have them."""
    random = np.random.default_rng(5)
    if name == "sparse":
        centres, sizes = random.uniform(0, 40_000, (count, 2)), random.uniform(20, 80, (count, 2))
    else:
        objects = max(1, count // 20)
        which = random.integers(0, objects, count)
        sizes = random.uniform(20, 80, (objects, 2))[which]
        centres = random.uniform(0, 4_000, (objects, 2))[which] + random.normal(0, 0.08, (count, 2)) * sizes
        sizes = sizes * random.uniform(0.9, 1.1, (count, 2))
    scores, labels = random.uniform(0.05, 1, count), random.integers(0, LABELS, count)
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).clip(0)
    rows = np.column_stack([corners, scores, labels]).astype(np.float32)
    return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]


@cache
def found(name: str, count: int) -> Detections:
    """The layout as our detections."""
    rows = layout(name, count).astype(np.float64)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def fastest(work: Any, seconds: float) -> Mapping[str, Any]:
    """Seconds of one call: the median over at least so long."""
    work()
    times: list[float] = []
    while sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return {"s": float(np.median(times)), "calls": len(times)}


def our_arrays(name: str, count: int, seconds: float) -> Mapping[str, Any]:
    """Keepers and owners."""
    one = found(name, count)
    return fastest(lambda: owners(one.corners, one.confidences, one.labels, OVERLAP, "iou"), seconds)


def sahi_arrays(name: str, count: int, seconds: float) -> Mapping[str, Any]:
    """Keepers and owners."""
    rows = layout(name, count).astype(np.float64)
    return fastest(lambda: batched_greedy_nmm(rows, "IOU", OVERLAP), seconds)


def our_objects(name: str, count: int, seconds: float) -> Mapping[str, Any]:
    """The merged boxes."""
    merging = Merging(metric="iou", overlap=OVERLAP)
    return fastest(lambda: merge(found(name, count), merging), seconds)


def sahi_objects(name: str, count: int, seconds: float) -> Mapping[str, Any]:
    """The merged boxes; making the objects is not counted. Timed once, for one call takes long."""
    objects = [
        ObjectPrediction(bbox=row[:4].tolist(), score=float(row[4]), category_id=int(row[5]), category_name="x")
        for row in layout(name, count)
    ]
    process = GreedyNMMPostprocess(OVERLAP, "IOU", class_agnostic=False)
    began = time.perf_counter()
    process(objects)
    return {"s": time.perf_counter() - began, "calls": 1}


def same(name: str, count: int) -> Mapping[str, Any]:
    """Whether both find the same keepers and owners."""
    rows = layout(name, count).astype(np.float64)
    expected = np.full(len(rows), -1)
    for keeper, owned in batched_greedy_nmm(rows, "IOU", OVERLAP).items():
        expected[[keeper, *owned]] = keeper
    one = found(name, count)
    ours = owners(one.corners, one.confidences, one.labels, OVERLAP, "iou")
    return {"same": bool(np.array_equal(ours, expected)), "kept": int((ours == np.arange(len(ours))).sum())}


if __name__ == "__main__":
    one_core()
    answer(
        {
            "our_arrays": our_arrays,
            "sahi_arrays": sahi_arrays,
            "our_objects": our_objects,
            "sahi_objects": sahi_objects,
            "same": same,
        }
    )
