"""Cuts a picture into its tiles, one row of tiles in memory at a time, and what the next shares with it."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

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
    scaled = Whole(pixels, Upright(1, width, height)).scaled(*grid.scaled)
    for tile in grid:
        yield tile, filled(scaled[tile.top : tile.bottom, tile.left : tile.right], spec)


def cut_source(source: Source, grid: Grid) -> Iterator[tuple[Tile, Pixels]]:
    """The tiles of an open picture."""
    width, height = grid.scaled
    upright = Upright(source.upright.orientation, *((height, width) if source.upright.turned else (width, height)))
    wanted = sorted(((upright.stored(_place(tile)), tile) for tile in grid), key=lambda one: (one[0][1], one[0][0]))
    rows = [_Row(*span, list(tiles)) for span, tiles in groupby(wanted, key=lambda one: (one[0][1], one[0][3]))]
    strips = source.strips(upright.width, upright.height)
    shared: list[_Strip] = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        row.begin(shared)
        shared = [strip for strip in shared if following and strip.end > following.top]
        while row.open:
            strip = _Strip(*next(strips))
            row.take(strip)
            if following and strip.end > following.top:
                shared.append(strip)
        for tile, pixels in row.tiles():
            yield tile, filled(upright.turn(pixels), grid.spec)


def filled(pixels: Pixels, spec: TileSpec) -> Pixels:
    """A tile brought to its full size where the spec says so."""
    height, width = pixels.shape[:2]
    if spec.padding != "fill" or (height, width) == (spec.size, spec.size):
        return pixels
    whole = np.full((spec.size, spec.size, 3), spec.fill, np.uint8)
    whole[:height, :width] = pixels
    return whole


class _Strip(NamedTuple):
    """Rows of the stored picture, from `first`."""

    first: int
    pixels: Pixels

    @property
    def end(self) -> int:
        return self.first + len(self.pixels)


class _Row:
    """The tiles that lie side by side, from `top` to `bottom` of the stored picture, filled strip by strip: a pixel is
    copied to its tile while the processor's cache has it."""

    def __init__(self, top: int, bottom: int, tiles: Sequence[tuple[Rectangle, Tile]]) -> None:
        self.top, self.bottom = top, bottom
        self._wanted = tiles
        self._end = top
        self._tiles: deque[tuple[int, int, Tile, Pixels]] = deque()

    @property
    def open(self) -> bool:
        """Whether rows are missing."""
        return self._end < self.bottom

    def begin(self, strips: Iterable[_Strip]) -> None:
        """With what the row above has in common with it; until now it takes no memory."""
        height = self.bottom - self.top
        for (left, _, right, _), tile in self._wanted:
            self._tiles.append((left, right, tile, np.empty((height, right - left, 3), np.uint8)))
        for strip in strips:
            self.take(strip)

    def take(self, strip: _Strip) -> None:
        """What it shows of a strip."""
        begin, end = max(strip.first, self.top), min(strip.end, self.bottom)
        rows = strip.pixels[begin - strip.first : end - strip.first]
        for left, right, _, pixels in self._tiles:
            pixels[begin - self.top : end - self.top] = rows[:, left:right]
        self._end = end

    def tiles(self) -> Iterator[tuple[Tile, Pixels]]:
        """Each tile and its pixels, which are held no longer."""
        while self._tiles:
            _, _, tile, pixels = self._tiles.popleft()
            yield tile, pixels


def _place(tile: Tile) -> Rectangle:
    return tile.left, tile.top, tile.right, tile.bottom
