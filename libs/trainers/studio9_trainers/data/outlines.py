"""Outlines: their area, and the part of them within a rectangle."""

from typing import Any

import cv2
import numpy as np

from studio9_task.shapes import RotatedBox

Points = np.ndarray[Any, np.dtype[np.float64]]
"""(n, 2); the last joins the first."""


def area(points: Points) -> float:
    """Of an outline that doesn't cross itself."""
    if len(points) < 3:
        return 0.0
    x, y = points[:, 0], points[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def within(points: Points, width: float, height: float) -> Points:
    """The part of an outline from (0, 0) to (width, height), edge by edge (Sutherland and Hodgman)."""
    left: Points = points
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        left = _cut(left, sign * (left[:, axis] - limit))
    return np.clip(left, 0.0, (width, height))  # rounding may have left it by a hair


def corners(left: float, top: float, width: float, height: float) -> Points:
    """A rectangle's outline."""
    return np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)])


def rotated_corners(box: RotatedBox) -> Points:
    """The four corners, clockwise from what was the top left."""
    angle = np.radians(box.angle)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flat = corners(-box.width / 2, -box.height / 2, box.width, box.height)
    return np.asarray(flat @ turned + (box.centre_x, box.centre_y))


def smallest_turned(points: Points) -> dict[str, float]:
    """The smallest turned rectangle that holds the points, as the fields of a RotatedBox."""
    (x, y), (width, height), angle = cv2.minAreaRect(points.astype(np.float32))
    return {
        "centre_x": float(x), "centre_y": float(y), "width": float(width), "height": float(height),
        "angle": float(angle),
    }  # fmt: skip


def _cut(points: Points, inside: Points) -> Points:
    """What lies where `inside`, told for each point, is not negative."""
    kept: list[Points] = []
    for number, point in enumerate(points):
        before, here, there = points[number - 1], inside[number], inside[number - 1]
        if (here >= 0) != (there >= 0):
            kept.append(before + (point - before) * (there / (there - here)))
        if here >= 0:
            kept.append(point)
    return np.array(kept, dtype=np.float64).reshape(-1, 2)
