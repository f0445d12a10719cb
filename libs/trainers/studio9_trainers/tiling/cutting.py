"""Cuts a picture into its tiles, one row of tiles in memory at a time."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from studio9_task.tiles import TileSpec
from studio9_trainers.data.decode import Pixels
from studio9_trainers.tiling.grid import Grid, Tile
from studio9_trainers.tiling.source import MEMORY_MIB, Source, Whole, open_source
from studio9_trainers.tiling.upright import Rectangle, Upright


def cut(
    path: Path, spec: TileSpec, name: str | None = None, memory_mib: int = MEMORY_MIB
) -> Iterator[tuple[Tile, Pixels]]:
    """Every tile of the upright picture with its pixels, RGB; in the order in which the file is stored.

    Raises BadPicture for what can't be decoded, BadInput for what would take more memory than allowed.
    """
    source = open_source(path, name, memory_mib)
    return cut_source(source, Grid(spec, *source.upright.size))


def cut_pixels(pixels: Pixels, spec: TileSpec) -> Iterator[tuple[Tile, Pixels]]:
    """The tiles of a picture that is in memory; unscaled and unpadded ones are views of it."""
    height, width = pixels.shape[:2]
    grid = Grid(spec, width, height)
    _, scaled = next(Whole(pixels, Upright(1, width, height)).strips(*grid.scaled))
    for tile in grid:
        yield tile, filled(scaled[tile.top : tile.bottom, tile.left : tile.right], spec)


def cut_source(source: Source, grid: Grid) -> Iterator[tuple[Tile, Pixels]]:
    """The tiles of an open picture."""
    width, height = grid.scaled
    upright = Upright(source.upright.orientation, *((height, width) if source.upright.turned else (width, height)))
    wanted = sorted(((upright.stored(_place(tile)), tile) for tile in grid), key=lambda one: (one[0][1], one[0][0]))
    window = _Window(source.strips(upright.width, upright.height), upright.width)
    for (top, bottom), tiles in groupby(wanted, key=lambda one: (one[0][1], one[0][3])):
        rows = window.rows(top, bottom)
        for (left, _, right, _), tile in tiles:
            yield tile, filled(upright.turn(rows[:, left:right]), grid.spec)


def filled(pixels: Pixels, spec: TileSpec) -> Pixels:
    """A tile brought to its full size where the spec says so."""
    height, width = pixels.shape[:2]
    if spec.padding != "fill" or (height, width) == (spec.size, spec.size):
        return pixels
    whole = np.full((spec.size, spec.size, 3), spec.fill, np.uint8)
    whole[:height, :width] = pixels
    return whole


class _Window:
    """Rows of a picture that is read once, from top to bottom; those above what was asked for last are forgotten."""

    def __init__(self, strips: Iterator[tuple[int, Pixels]], width: int) -> None:
        self._strips = strips
        self._width = width
        self._top = self._end = 0
        self._held = np.empty((0, width, 3), np.uint8)
        self._rest: tuple[int, Pixels] | None = None

    def rows(self, top: int, bottom: int) -> Pixels:
        """Rows from `top` to `bottom`, valid until the next call; `top` never goes back."""
        if bottom - top > len(self._held):
            larger = np.empty((bottom - top, self._width, 3), np.uint8)
            larger[: self._end - self._top] = self._held[: self._end - self._top]
            self._held = larger
        kept = max(0, self._end - top)
        if kept and top > self._top:
            self._held[:kept] = self._held[top - self._top : self._end - self._top].copy()
        self._top, self._end = top, max(self._end, top) if kept == 0 else top + kept
        while self._end < bottom:
            first, strip = self._rest or next(self._strips)
            self._rest = None
            last = first + len(strip)
            begin, stop = max(first, self._end), min(last, bottom)
            if begin < stop:
                self._held[begin - top : stop - top] = strip[begin - first : stop - first]
                self._end = stop
            if last > bottom:
                self._rest = (first, strip)
        return self._held[: bottom - top]


def _place(tile: Tile) -> Rectangle:
    return tile.left, tile.top, tile.right, tile.bottom
