"""Masks as run lengths and as pixels."""

from typing import Any

import numpy as np

from studio9_task.shapes import Mask

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def mask_pixels(mask: Mask) -> Flags:
    """The mask's own rectangle, height by width; true inside. Raises ValueError where the runs don't fill it."""
    if sum(mask.counts) != mask.width * mask.height:
        raise ValueError(f"the mask's runs hold {sum(mask.counts)} pixels, its rectangle {mask.width * mask.height}")
    inside = np.arange(len(mask.counts)) % 2 == 1
    return np.repeat(inside, mask.counts).reshape(mask.width, mask.height).T


def run_lengths(pixels: Flags) -> tuple[int, ...]:
    """COCO's uncompressed run lengths of a rectangle: by columns, the first run outside."""
    flat = pixels.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return tuple(([0] if flat.size and flat[0] else []) + counts)


def mask_of(pixels: Flags, like: Mask) -> Mask | None:
    """A mask of all true pixels of a picture, in the smallest rectangle; none where there is none.

    Label and the rest are those of `like`.
    """
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if len(rows) == 0:
        return None
    top, left = int(rows[0]), int(columns[0])
    inner = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
    height, width = inner.shape
    place = {"left": left, "top": top, "width": width, "height": height, "counts": run_lengths(inner)}
    return like.model_copy(update=place)
