"""What predictions hold, by picture, label and project."""

import pytest

from studio9_task.results import PredictedBox, PredictedPicture
from studio9_trainers.evaluation.analysis import analyse
from studio9_trainers.evaluation.plots import analysis_plots


def picture(name: str, *boxes: tuple[str, float, float, float, float]) -> PredictedPicture:
    return PredictedPicture(
        picture_id=name, input="predict", sha256="0" * 64, width=1000, height=500,
        boxes=tuple(
            PredictedBox(label=label, confidence=0.5, left=left, top=top, width=width, height=height, index=index)
            for index, (label, left, top, width, height) in enumerate(boxes)
        ),
    )  # fmt: skip


def test_counts_sizes_density_and_coverage() -> None:
    pictures = [
        picture("a", ("ship", 0, 0, 500, 500), ("ship", 250, 0, 250, 500), ("buoy", 900, 0, 10, 10)),
        picture("b", ("buoy", 990, 490, 40, 40)),
        picture("c"),
    ]
    analysis, each = analyse(pictures, "predict", {"a": "north", "b": "south", "c": "south"})
    assert (analysis.pictures, analysis.pictures_without, analysis.all.boxes) == (3, 1, 4)
    assert each[0].labels == {"ship": 2, "buoy": 1}
    assert each[0].coverage == pytest.approx(0.5, abs=0.01)  # what overlaps counts once
    assert each[0].density == 6
    assert each[1].coverage == pytest.approx(0.0002, abs=1e-3)  # what leaves the picture does not count
    ships = analysis.labels["ship"]
    assert (ships.boxes, ships.pictures, ships.side.largest, ships.relative_area.largest) == (2, 1, 500, 0.5)
    assert ships.per_picture.mean == pytest.approx(2 / 3)
    assert sum(analysis.all.sizes.counts) == 4
    assert {name: (one.boxes, one.per_picture.count) for name, one in analysis.projects.items()} == {
        "north": (3, 1), "south": (1, 2)
    }  # fmt: skip
    assert all(content.startswith(b"\x89PNG") for content in analysis_plots(analysis).values())


def test_nothing_to_analyse() -> None:
    analysis, each = analyse([], "predict")
    assert (analysis.all.boxes, analysis.all.coverage.count, each) == (0, 0, ())
    assert set(analysis_plots(analysis)) == {"labels", "sizes"}
