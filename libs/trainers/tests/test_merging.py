"""Merging: the same keepers, owners and boxes as SAHI; objects that tiles have cut are whole again."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_task.pictures import PictureRecord
from studio9_task.tiles import Merging, Sliced, TileSpec
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections
from studio9_trainers.merging.merge import grown, merge
from studio9_trainers.merging.owners import order, owners
from studio9_trainers.merging.sliced import SlicedDetector

combine = pytest.importorskip("sahi.postprocess.combine")


def boxes_of(random: np.random.Generator) -> np.ndarray:
    """Corners, score, label: few or many, apart or piled up, of one size or of all, with ties and without."""
    count = int(random.integers(1, 60))
    side = random.choice([20.0, 80.0, 400.0])
    centres = random.uniform(0, side, (count, 2))
    sizes = random.uniform(5, 20, (count, 2)) if random.random() < 0.5 else 2 ** random.uniform(-2, 8, (count, 2))
    if random.random() < 0.3:  # as pixels are, so that overlaps fall on the threshold
        centres, sizes = np.round(centres), np.round(sizes / 2) * 2
    scores = random.uniform(0.05, 1, count)
    if random.random() < 0.3:
        scores = np.round(scores, 1)
    labels = random.integers(0, random.choice([1, 3]), count)
    return np.column_stack([centres - sizes / 2, centres + sizes / 2, scores, labels])


def test_keepers_and_owners_are_sahis_on_1000_random_cases() -> None:
    random = np.random.default_rng(7)
    for case in range(1000):
        rows = boxes_of(random)
        metric, threshold = ("IOU", "IOS")[case % 2], float(random.choice([0.1, 0.3, 0.5, 0.8]))
        labels = None if case % 3 == 0 else rows[:, 5].astype(np.int64)
        theirs = (combine.greedy_nmm if labels is None else combine.batched_greedy_nmm)(rows, metric, threshold)
        expected = np.full(len(rows), -1)
        for keeper, owned in theirs.items():
            expected[[keeper, *owned]] = keeper
        found = owners(rows[:, :4], rows[:, 4], labels, threshold, "iou" if metric == "IOU" else "ios")
        assert np.array_equal(found, expected), case


@pytest.mark.parametrize("metric", ["iou", "ios"])
def test_grown_boxes_are_sahis(metric: str) -> None:
    from sahi.prediction import ObjectPrediction

    random = np.random.default_rng(11)
    for _ in range(15):
        rows = boxes_of(random).astype(np.float32).astype(np.float64)  # SAHI computes with these
        rows[:, :4] = np.round(rows[:, :4])
        rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1]) & (rows[:, :4] >= 0).all(axis=1)]
        objects = [
            ObjectPrediction(bbox=row[:4].tolist(), score=float(row[4]), category_id=int(row[5]), category_name="x")
            for row in rows
        ]
        process = combine.GreedyNMMPostprocess(0.5, metric.upper(), class_agnostic=False)
        expected = sorted((*one.bbox.to_xyxy(), one.score.value, one.category.id) for one in process(objects))
        found = Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
        ours = merge(found, Merging(metric=metric, overlap=0.5))
        assert np.all(np.diff(ours.confidences) <= 0)
        rows_found = sorted(zip(*ours.corners.T, ours.confidences, ours.labels, strict=True))
        assert np.allclose(rows_found, expected) if expected else not rows_found


def test_keeping_leaves_the_kept_boxes_as_they_are() -> None:
    found = Detections(
        np.array([[0, 0, 10, 10], [1, 0, 12, 10], [50, 50, 60, 60.0]]), np.array([0.6, 0.9, 0.5]), np.array([0, 0, 1])
    )
    kept = merge(found, Merging(metric="iou", boxes="keep"))
    assert kept.corners.tolist() == [[1, 0, 12, 10], [50, 50, 60, 60]]
    assert merge(found, Merging(metric="iou")).corners[0].tolist() == [0, 0, 12, 10]


def test_what_touches_nothing_and_what_is_nothing() -> None:
    nothing = np.zeros((0, 4))
    assert owners(nothing, np.zeros(0), None, 0.5).tolist() == []
    assert grown(nothing, np.zeros(0, np.int64), order(nothing, np.zeros(0)), 0.5, True).shape == (0, 4)
    flat = np.array([[5, 5, 5, 9], [5, 5, 5, 9], [0, 0, 20, 20.0]])
    assert owners(flat, np.array([0.3, 0.2, 0.1]), None, 0.5).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="threshold"):
        owners(flat, np.ones(3), None, 0)


class FindsBlack:
    """Finds the black rectangle that it is shown, cut at the border as a real detector would have it."""

    names = ("black",)
    thresholds = Thresholds()
    largest = 0

    def save(self, path: Path) -> Written:
        raise AssertionError(path)

    def detect(
        self, pictures: Iterable[tuple[Picture, Pixels]], confidence: float, iou: float, max_boxes: int
    ) -> Iterator[tuple[Picture, Detections]]:
        shown = list(pictures)  # as batches do: all is asked for before anything is given
        for picture, pixels in shown:
            self.largest = max(self.largest, *pixels.shape[:2])
            rows, columns = np.nonzero((pixels == 0).all(axis=2))
            if not len(rows):
                yield picture, Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
                continue
            corners = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=np.float64)
            sure = min(0.99, 0.1 + len(rows) / 5000)
            yield picture, Detections(corners, np.array([sure]), np.array([0]))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("padding", ["shift", "none", "fill"])
def test_an_object_over_several_tiles_is_one(tmp_path: Path, whole: bool, padding: str) -> None:
    path = tmp_path / "a.png"
    pixels = np.full((300, 420, 3), 255, np.uint8)
    pixels[110:150, 150:230] = 0
    Image.fromarray(pixels).save(path)
    record = PictureRecord(
        picture_id="a", version="0" * 64, sha256="0" * 64, key="k", filename="a.png", size=1, width=420, height=300
    )
    pictures = [Picture(record.model_copy(update={"picture_id": name}), path, ()) for name in "ab"]
    sliced = Sliced(tiles=TileSpec(size=128, overlap=64, padding=padding), whole=whole)
    eye = FindsBlack()
    found = {
        picture.record.picture_id: boxes
        for picture, boxes in SlicedDetector(eye, sliced).detect(((one, pixels) for one in pictures), 0.1, 0.5, 10)
    }
    assert list(found) == ["a", "b"] and eye.largest == (420 if whole else 128)
    for boxes in found.values():
        assert boxes.corners.tolist() == [[150, 110, 230, 150]]
    again = SlicedDetector(FindsBlack(), sliced).detect_file(pictures[0], 0.1, 0.5, 10)
    assert again.corners.tolist() == [[150, 110, 230, 150]]
