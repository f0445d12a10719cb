"""Counts, sizes, density and coverage of boxes: of each picture, each label, each project."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from studio9_task.analysis import AnalysedPicture, Analysis, Group, Histogram, Spread
from studio9_task.results import PredictedBox, PredictedPicture

Values = np.ndarray[Any, np.dtype[np.float64]]

EDGES = (0.0, 8.0, 16.0, 32.0, 64.0, 96.0, 128.0, 256.0, 512.0, 1024.0)
"""Of the histogram of sides, in pixels; 32 and 96 part COCO's small, medium and large."""

FINENESS = 256
"""Coverage is counted on a grid of at most so many cells a side."""


def analyse(
    pictures: Sequence[PredictedPicture], source: str, projects: Mapping[str, str] | None = None
) -> tuple[Analysis, tuple[AnalysedPicture, ...]]:
    """All together and by picture. `projects` names the project of a picture by its id, where it has one."""
    owners = projects or {}
    labels = sorted({box.label for picture in pictures for box in picture.boxes})
    named = sorted({owners[picture.picture_id] for picture in pictures if picture.picture_id in owners})
    analysis = Analysis(
        input=source,
        pictures=len(pictures),
        pictures_without=sum(not picture.boxes for picture in pictures),
        all=_group(pictures, lambda _: True),
        labels={label: _group(pictures, _has(label)) for label in labels},
        projects={
            project: _group([one for one in pictures if owners.get(one.picture_id) == project], lambda _: True)
            for project in named
        },
    )
    return analysis, tuple(_analysed(picture, owners.get(picture.picture_id)) for picture in pictures)


def coverage(picture: PredictedPicture, boxes: Iterable[PredictedBox]) -> float:
    """The part of the picture that the boxes cover together, to about 1/256 of its side."""
    rows, columns = min(FINENESS, picture.height), min(FINENESS, picture.width)
    grid = np.zeros((rows, columns), dtype=bool)
    across, down = columns / picture.width, rows / picture.height
    for box in boxes:
        left, right = (round(value * across) for value in (box.left, box.left + box.width))
        top, bottom = (round(value * down) for value in (box.top, box.top + box.height))
        grid[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return float(grid.mean())


def _has(label: str) -> Callable[[PredictedBox], bool]:
    return lambda box: box.label == label


def _analysed(picture: PredictedPicture, project: str | None) -> AnalysedPicture:
    counts: dict[str, int] = {}
    for box in picture.boxes:
        counts[box.label] = counts.get(box.label, 0) + 1
    return AnalysedPicture(
        picture_id=picture.picture_id,
        project=project,
        boxes=len(picture.boxes),
        labels=counts,
        density=round(_density(picture, len(picture.boxes)), 6),
        coverage=round(coverage(picture, picture.boxes), 6),
    )


def _density(picture: PredictedPicture, boxes: int) -> float:
    return boxes * 1e6 / (picture.width * picture.height)


def _group(pictures: Sequence[PredictedPicture], belongs: Callable[[PredictedBox], bool]) -> Group:
    own = [(picture, [box for box in picture.boxes if belongs(box)]) for picture in pictures]
    areas = np.array([box.width * box.height for _, boxes in own for box in boxes])
    wholes = np.array([picture.width * picture.height for picture, boxes in own for _ in boxes])
    sides = np.sqrt(areas)
    counts, edges = np.histogram(sides, bins=[*EDGES, max(2048.0, float(sides.max(initial=0)))])
    return Group(
        boxes=len(areas),
        pictures=sum(bool(boxes) for _, boxes in own),
        per_picture=_spread([len(boxes) for _, boxes in own]),
        side=_spread(sides),
        relative_area=_spread(areas / wholes if len(areas) else areas),
        density=_spread([_density(picture, len(boxes)) for picture, boxes in own]),
        coverage=_spread([coverage(picture, boxes) for picture, boxes in own]),
        sizes=Histogram(edges=tuple(map(float, edges)), counts=tuple(map(int, counts))),
        confidence=_spread([box.confidence for _, boxes in own for box in boxes]),
    )


def _spread(values: Sequence[float] | Values) -> Spread:
    known = np.asarray(values, dtype=np.float64)
    if known.size == 0:
        return Spread(count=0)
    low, quarter, middle, three, high = (float(one) for one in np.percentile(known, [0, 25, 50, 75, 100]))
    return Spread(
        count=known.size,
        mean=float(known.mean()),
        smallest=low,
        lower_quarter=quarter,
        middle=middle,
        upper_quarter=three,
        largest=high,
    )
