"""How pictures look, as a few bits: those of one scene differ in few of them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Hashes = np.ndarray[Any, np.dtype[np.uint8]]
"""A row of 32 bytes a picture."""

SIDE = 16
BYTES = SIDE * SIDE // 8
ALIKE = 12
"""Pictures that differ in at most so many of 256 bits look alike."""
FLAT = 3.0
"""Standard deviation of grey below which a picture shows too little to tell."""


def look(path: Path) -> Hashes | None:
    """256 bits: whether the picture gets brighter from each of 16 x 16 places to its right neighbour.

    None for a flat picture, or one that can't be decoded (that is another finding's matter).
    """
    try:
        with Image.open(path) as image:
            image.draft("L", (SIDE * 8, SIDE * 8))
            grey = ImageOps.exif_transpose(image).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    values = np.asarray(grey, dtype=np.int16)
    if values.std() < FLAT:
        return None
    return np.packbits(values[:, 1:] > values[:, :-1])


def alike(one: Hashes, other: Hashes) -> list[tuple[int, int]]:
    """Pairs of rows (of `one`, of `other`) that look alike."""
    pairs = []
    for at, row in enumerate(one):
        distances = np.bitwise_count(other ^ row).sum(axis=1)
        pairs += [(at, int(found)) for found in np.flatnonzero(distances <= ALIKE)]
    return pairs
