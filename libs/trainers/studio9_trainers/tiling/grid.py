"""Where the tiles of a picture lie, and the mapping between a picture's coordinates and a tile's, both ways."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from studio9_task.tiles import TileSpec

Points = np.ndarray[Any, np.dtype[np.float64]]
"""The last axis holds x, y, or x, y, x, y."""


@dataclass(frozen=True)
class Tile:
    """One tile: its place in the grid, and the pixels of the scaled picture that it shows (half-open).

    `scale_x`, `scale_y`: pixels of the tile per pixel of the picture, exact after rounding the scaled size.
    """

    row: int
    column: int
    left: int
    top: int
    right: int
    bottom: int
    scale_x: float
    scale_y: float

    @property
    def name(self) -> str:
        """Sorts in the grid's order."""
        return f"r{self.row:04d}c{self.column:04d}"

    @property
    def width(self) -> int:
        """Pixels, without padding."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels, without padding."""
        return self.bottom - self.top

    def to_tile(self, points: Points) -> Points:
        """Picture's coordinates as the tile's; points, or boxes as corners."""
        return points * self._pattern(points, self.scale_x, self.scale_y) - self._pattern(points, self.left, self.top)

    def to_picture(self, points: Points) -> Points:
        """Tile's coordinates as the picture's; the inverse of `to_tile`."""
        return (points + self._pattern(points, self.left, self.top)) / self._pattern(points, self.scale_x, self.scale_y)

    def _pattern(self, points: Points, x: float, y: float) -> Points:
        return np.array([x, y] * (points.shape[-1] // 2), dtype=np.float64)


@dataclass(frozen=True)
class Grid:
    """The tiles of an upright picture of `width` x `height` pixels."""

    spec: TileSpec
    width: int
    height: int

    @cached_property
    def scaled(self) -> tuple[int, int]:
        """(width, height) of the picture that is cut."""
        return self.spec.scaled(self.width, self.height)

    @property
    def columns(self) -> int:
        """How many tiles lie side by side."""
        return len(self._spans(self.scaled[0]))

    @property
    def rows(self) -> int:
        """How many tiles lie one below the other."""
        return len(self._spans(self.scaled[1]))

    def __len__(self) -> int:
        return self.columns * self.rows

    def __iter__(self) -> Iterator[Tile]:
        width, height = self.scaled
        scale_x, scale_y = width / self.width, height / self.height
        columns = self._spans(width)
        for row, (top, bottom) in enumerate(self._spans(height)):
            for column, (left, right) in enumerate(columns):
                yield Tile(row, column, left, top, right, bottom, scale_x, scale_y)

    def _spans(self, length: int) -> list[tuple[int, int]]:
        """(begin, end) of the tiles along one side of so many pixels."""
        spec = self.spec
        starts = [number * spec.stride for number in range(spec.along(length))]
        if spec.padding == "shift":
            starts[-1] = max(0, length - spec.size)
        return [(start, min(start + spec.size, length)) for start in starts]


def neighbourhood(spec: TileSpec) -> float:
    """The longest object, in pixels of the picture, that is whole in at least one tile wherever it lies."""
    return spec.overlap / spec.scale
