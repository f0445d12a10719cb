"""From a picture's pixels to the model's and back."""

from typing import Any

import cv2
import numpy as np

from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Detections

PAD = 114
"""The grey of the border, as in training."""
STRIDE = 32


def letterbox(pixels: Pixels, side: int) -> Pixels:
    """Scale the longer side to `side`, pad both to multiples of the stride, the picture in the middle."""
    height, width = scaled_size(pixels.shape[:2], side)
    if (height, width) != pixels.shape[:2]:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    top, left, bottom, right = padding(height, width)
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD))


def scaled_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(height, width) of a picture whose longer side is scaled to `side`."""
    ratio = side / max(shape)
    return max(1, round(shape[0] * ratio)), max(1, round(shape[1] * ratio))


def padded_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(height, width) of the model's input for a picture."""
    height, width = scaled_size(shape, side)
    return height + -height % STRIDE, width + -width % STRIDE


def padding(height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) to reach multiples of the stride."""
    more_height, more_width = -height % STRIDE, -width % STRIDE
    top, left = more_height // 2, more_width // 2
    return top, left, more_height - top, more_width - left


def unscaled(boxes: Any, shape: tuple[int, ...], side: int, scores: Any = None) -> Detections:
    """Rows of (left, top, right, bottom, confidence, label) in scaled pixels, back in the picture's own, cut to it.

    `scores`: every label's, a row a box.
    """
    height, width = scaled_size(shape, side)
    top, left, _, _ = padding(height, width)
    corners = boxes[:, :4].astype(np.float64) - (left, top, left, top)
    corners *= (shape[1] / width, shape[0] / height, shape[1] / width, shape[0] / height)
    corners = corners.clip(0, (shape[1], shape[0], shape[1], shape[0]))
    solid = (corners[:, 2] - corners[:, 0] > 0.01) & (corners[:, 3] - corners[:, 1] > 0.01)
    return Detections(
        corners=corners[solid],
        confidences=boxes[solid, 4].astype(np.float64).clip(0, 1),
        labels=boxes[solid, 5].astype(np.int64),
        scores=None if scores is None else scores[solid],
    )
