"""How training pictures vary by chance: one affine map for size, place, turn and mirror; and their colours."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Floats

PAD = (114, 114, 114)
"""The grey of the border, alike in all colours."""
LEAST_AREA = 0.2
"""A box of which a smaller part is left in the square is dropped."""

Matrix = np.ndarray[Any, np.dtype[np.float64]]
"""Two rows: x' = a x + b y + c, y' = d x + e y + f; of pixel borders, not centres."""


@dataclass(frozen=True, slots=True)
class Varied:
    """The most that each may change: degrees; translate as a part of the side; scale as a part of the size; degrees of
    shear; hue, saturation and value as parts; and how often pictures are mirrored left to right and top to bottom."""

    degrees: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0
    hue: float = 0.015
    saturation: float = 0.7
    value: float = 0.4
    mirror: float = 0.5
    flip: float = 0.0


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance has chosen for one picture."""

    matrix: Matrix
    gains: tuple[float, float, float] | None

    @property
    def size(self) -> float:
        """How many pixels of the square come of one of the picture's, along the side that is scaled up most."""
        return float(np.linalg.norm(self.matrix[:, :2], axis=0).max())

    def of(self, shape: tuple[int, ...], given: tuple[int, ...]) -> "Draw":
        """The same for the picture of this (height, width) when it is given smaller."""
        if shape[:2] == given[:2]:
            return self
        matrix = self.matrix.copy()
        matrix[:, 0] *= shape[1] / given[1]
        matrix[:, 1] *= shape[0] / given[0]
        return Draw(matrix, self.gains)


def draw(shape: tuple[int, ...], side: int, varied: Varied | None, random: np.random.Generator) -> Draw:
    """A picture of (height, width) in a square: scaled to it, in its middle, then varied."""
    height, width = shape[:2]
    ratio = side / max(height, width)
    centred = np.array([[ratio, 0, -ratio * width / 2], [0, ratio, -ratio * height / 2]])
    if varied is None:
        centred[:, 2] += side / 2
        return Draw(centred, None)
    # Always the same number of draws: what one setting does must not change what another draws.
    chance = random.uniform(-1, 1, 9)
    coins = random.random(2)
    angle, size = np.deg2rad(varied.degrees * chance[0]), 1 + varied.scale * chance[1]
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.tan(np.deg2rad(varied.shear * chance[2:4]))
    linear = np.array([[1, shear[0]], [shear[1], 1]]) @ turn
    linear[0] *= -1 if coins[0] < varied.mirror else 1
    linear[1] *= -1 if coins[1] < varied.flip else 1
    matrix = linear @ centred
    matrix[:, 2] += side * (0.5 + varied.translate * chance[4:6])
    gains = 1 + chance[6:9] * (varied.hue, varied.saturation, varied.value)
    return Draw(matrix, (float(gains[0]), float(gains[1]), float(gains[2])))


def paint(pixels: Pixels, side: int, drawn: Draw, out: Pixels) -> None:
    """Write the square into `out` (side, side, 3).

    Only what is seen is moved, and colours are changed before or after, where there are fewer pixels of them.
    """
    height, width = pixels.shape[:2]
    linear, offset = drawn.matrix[:, :2], drawn.matrix[:, 2]
    border = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    x0, y0, x1, y1 = _inside(border @ linear.T + offset, side, side)
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], dtype=np.float64)
    left, top, right, bottom = _inside((square - offset) @ np.linalg.inv(linear).T, width, height)
    if (x0, y0, x1, y1) != (0, 0, side, side):
        out.fill(PAD[0])
    if x1 <= x0 or y1 <= y0 or right <= left or bottom <= top:
        return
    seen, shown = pixels[top:bottom, left:right], out[y0:y1, x0:x1]
    before = (right - left) * (bottom - top) <= (x1 - x0) * (y1 - y0)
    if drawn.gains is not None and before:
        seen = recoloured(seen, drawn.gains)
    matrix = drawn.matrix.copy()
    # Pixel centres lie at halves in our coordinates and at whole numbers in the warp's.
    matrix[:, 2] += linear @ (left + 0.5, top + 0.5) - (x0 + 0.5, y0 + 0.5)
    cv2.warpAffine(
        seen,
        matrix,
        (x1 - x0, y1 - y0),
        dst=shown,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=PAD,
    )
    if drawn.gains is not None and not before:
        shown[...] = recoloured(shown, drawn.gains)


def _inside(points: Floats, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels of a picture around some points, and two more for what lies between pixels."""
    low, high = np.floor(points.min(axis=0)) - 2, np.ceil(points.max(axis=0)) + 2
    limits = (width, height)
    left, top = (int(np.clip(value, 0, limit)) for value, limit in zip(low, limits, strict=True))
    right, bottom = (int(np.clip(value, 0, limit)) for value, limit in zip(high, limits, strict=True))
    return left, top, right, bottom


def recoloured(pixels: Pixels, gains: tuple[float, float, float]) -> Pixels:
    """Hue, saturation and value times so much."""
    levels = np.arange(256, dtype=np.float64)
    table = np.empty((1, 256, 3), np.uint8)
    table[0, :, 0] = (levels * gains[0]) % 180
    table[0, :, 1] = np.clip(levels * gains[1], 0, 255)
    table[0, :, 2] = np.clip(levels * gains[2], 0, 255)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    cv2.LUT(hsv, table, dst=hsv)
    found: Pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return found


def moved(corners: Floats, drawn: Draw, side: int) -> tuple[Floats, "np.ndarray[Any, np.dtype[np.bool_]]"]:
    """(boxes in the square, cut to it; which of them are left), from boxes in the picture."""
    if not len(corners):
        return corners.reshape(-1, 4), np.zeros(0, dtype=bool)
    points = corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ drawn.matrix[:, :2].T + drawn.matrix[:, 2]
    whole = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    cut = whole.clip(0, side)
    area, left = ((one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (whole, cut))
    return cut, left >= LEAST_AREA * np.maximum(area, 1e-9)
