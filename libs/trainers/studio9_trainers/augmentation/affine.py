"""Moving pixels by a matrix. Coordinates are continuous: pixel (0, 0) covers 0 to 1, its middle is at 0.5."""

import math
from typing import Any

import cv2
import numpy as np

from studio9_trainers.data.decode import Pixels

Matrix = np.ndarray[Any, np.dtype[np.float64]]
"""Three by three; (x, y, 1) of the picture before to that of the one after."""

SHARPEST = 0.7
"""Below this scale pixels are averaged first, for a warp alone would pass over most of them."""


def shift(x: float, y: float) -> Matrix:
    """Right by x, down by y."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def scale(x: float, y: float) -> Matrix:
    """Wider by x and higher by y; negative mirrors."""
    return np.diag([x, y, 1.0])


def turn(degrees: float) -> Matrix:
    """Counter-clockwise as seen; right angles exactly."""
    quarter, rest = divmod(degrees, 90)
    if rest == 0:
        cosine, sine = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][int(quarter) % 4]
    else:
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def slant(degrees: float) -> Matrix:
    """To the right the lower it is."""
    return np.array([[1, math.tan(math.radians(degrees)), 0], [0, 1, 0], [0, 0, 1]])


def about(matrix: Matrix, x: float, y: float) -> Matrix:
    """The same with (x, y) left where it is."""
    return np.asarray(shift(x, y) @ matrix @ shift(-x, -y))


def moved(points: Any, matrix: Matrix) -> Matrix:
    """Points (n, 2) after the move."""
    known = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return np.asarray(known @ matrix[:2, :2].T + matrix[:2, 2])


def enclosing(matrix: Matrix, size: tuple[int, int]) -> tuple[Matrix, tuple[int, int]]:
    """The move with a canvas (width, height) that holds all of a picture of this size."""
    width, height = size
    corners = moved([(0, 0), (width, 0), (width, height), (0, height)], matrix)
    low, high = corners.min(axis=0), corners.max(axis=0)
    canvas = np.maximum(np.ceil(high - low - 1e-6), 1).astype(int)
    centred = (canvas - (high - low)) / 2 - low
    return np.asarray(shift(*centred) @ matrix), (int(canvas[0]), int(canvas[1]))


def warp(pixels: Pixels, matrix: Matrix, size: tuple[int, int], reflect: bool = False, smooth: bool = True) -> Pixels:
    """The picture after the move on a canvas (width, height); what is free is black, or mirrored with `reflect`.

    `smooth`: interpolate and average; else each pixel takes its nearest one (masks).
    """
    height, width = pixels.shape[:2]
    factor = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if smooth and factor < SHARPEST:
        small = (max(1, round(width * factor)), max(1, round(height * factor)))
        pixels = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        matrix = matrix @ scale(width / small[0], height / small[1])
    middles = shift(-0.5, -0.5) @ matrix @ shift(0.5, 0.5)  # OpenCV counts from the pixels' middles
    warped = cv2.warpAffine(
        pixels,
        middles[:2],
        size,
        flags=cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REFLECT if reflect else cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0),
    )
    return np.asarray(warped, dtype=np.uint8)
