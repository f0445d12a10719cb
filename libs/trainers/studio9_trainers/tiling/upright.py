"""EXIF orientation, by parts: which stored pixels an upright rectangle shows, and how they are turned.

Turning a whole picture needs all of it in memory; turning tiles does not.
"""

from dataclasses import dataclass

import numpy as np

from studio9_trainers.data.decode import Pixels

Rectangle = tuple[int, int, int, int]
"""(left, top, right, bottom), half-open."""


@dataclass(frozen=True)
class Upright:
    """One of the eight orientations (EXIF tag 0x0112) of a picture stored as `width` x `height`."""

    orientation: int
    width: int
    height: int

    @property
    def turned(self) -> bool:
        """Whether rows are stored as columns."""
        return self.orientation >= 5

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as it is seen."""
        return (self.height, self.width) if self.turned else (self.width, self.height)

    def stored(self, rectangle: Rectangle) -> Rectangle:
        """The stored pixels of an upright rectangle."""
        left, top, right, bottom = rectangle
        if self.turned:
            left, top, right, bottom = top, left, bottom, right
        if self._mirrored:
            left, right = self.width - right, self.width - left
        if self._flipped:
            top, bottom = self.height - bottom, self.height - top
        return left, top, right, bottom

    def turn(self, pixels: Pixels) -> Pixels:
        """Stored pixels of a rectangle as they are seen."""
        if self._flipped:
            pixels = pixels[::-1]
        if self._mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels.transpose(1, 0, 2) if self.turned else pixels)

    @property
    def _mirrored(self) -> bool:
        return self.orientation in (2, 3, 7, 8)

    @property
    def _flipped(self) -> bool:
        return self.orientation in (3, 4, 6, 7)
