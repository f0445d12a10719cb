"""From a picture's pixels to a square model input and back, with the chance variations of training in one warp."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Floats

PAD = (114, 114, 114)
"""The grey of the border."""


PIXELS = "upright RGB from 0 to 1, longer side to input_size, in the middle of a square padded with 114/255"
"""How a square holds a picture, in words."""
SCALED = "scaled bilinearly, below 0.6 of its size first by the mean of each area"
"""How a picture gets into its square, in words."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How training pictures vary: mirrored so often, scaled and shifted by at most so much."""

    mirror: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a picture lies in its square: x' = a x + b, and likewise y. `a` is below 0 when it is mirrored."""

    matrix: "np.ndarray[Any, np.dtype[np.float64]]"

    def forward(self, corners: Floats) -> Floats:
        """Boxes in the picture's pixels as boxes in the square's."""
        return self._moved(corners, self.matrix)

    def back(self, corners: Floats) -> Floats:
        """Boxes in the square's pixels as boxes in the picture's."""
        a, d = self.matrix[0, 0], self.matrix[1, 1]
        b, e = self.matrix[0, 2], self.matrix[1, 2]
        return self._moved(corners, np.array([[1 / a, 0, -b / a], [0, 1 / d, -e / d]]))

    @staticmethod
    def _moved(corners: Floats, matrix: Any) -> Floats:
        moved = corners * matrix[[0, 1, 0, 1], [0, 1, 0, 1]] + matrix[[0, 1, 0, 1], 2]
        left, right = np.minimum(moved[:, 0], moved[:, 2]), np.maximum(moved[:, 0], moved[:, 2])
        return np.stack([left, moved[:, 1], right, moved[:, 3]], axis=1)


def place(shape: tuple[int, ...], side: int, variation: Variation, random: np.random.Generator | None) -> Placed:
    """The longer side scaled to `side`, the picture in the middle; varied where there is a generator."""
    height, width = shape[:2]
    ratio = side / max(height, width)
    mirrored = False
    shift = (0.0, 0.0)
    if random is not None:
        # Always three draws: what one setting does must not change what another draws.
        zoom, mirror = 1 + random.uniform(-variation.scale, variation.scale), random.random()
        ratio, mirrored = ratio * zoom, mirror < variation.mirror
        shift = tuple(random.uniform(-0.25, 0.25, 2) * variation.scale * side)
    left, top = (side - width * ratio) / 2 + shift[0], (side - height * ratio) / 2 + shift[1]
    if mirrored:
        return Placed(np.array([[-ratio, 0, side - left], [0, ratio, top]]))
    return Placed(np.array([[ratio, 0, left], [0, ratio, top]]))


def square_input(pixels: Pixels, side: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A picture, unvaried, as a network takes it: (3, side, side), from 0 to 1."""
    square = squared(pixels, side, place(pixels.shape, side, Variation(), None))
    return np.ascontiguousarray(square.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def squared(pixels: Pixels, side: int, placed: Placed) -> Pixels:
    """The square's pixels. Shrinking a lot is done in two steps, so that no pixel is passed over."""
    matrix = placed.matrix.copy()
    ratio = matrix[1, 1]
    if ratio < 0.6:
        height, width = max(1, round(pixels.shape[0] * ratio)), max(1, round(pixels.shape[1] * ratio))
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        matrix[0, 0] *= pixels.shape[1] / width
        matrix[1, 1] *= pixels.shape[0] / height
        pixels = small
    # Pixel centres lie at halves in our coordinates and at whole numbers in the warp's.
    matrix[0, 2] += 0.5 * matrix[0, 0] - 0.5
    matrix[1, 2] += 0.5 * matrix[1, 1] - 0.5
    return cv2.warpAffine(
        pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=PAD
    )
