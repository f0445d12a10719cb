"""The one decoder: the same file gives the same pixels in training, evaluation and prediction.

Upright (EXIF orientation applied), RGB, 8 bits: sixteen-bit grey loses its lower byte, transparency lies on white,
CMYK, palettes and grey become RGB; of animations the first frame counts.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from studio9_trainers.errors import BadPicture

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""Height by width by three (red, green, blue)."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, ImportError)
"""What Pillow raises; the last one where another package looks for a further codec that is not installed."""
MAX_PIXELS = 178_956_970
"""Pictures with more are refused, as by the platform when they are uploaded: tile them first."""


def decode(path: Path, name: str | None = None) -> Pixels:
    """The pixels of a picture file. Raises BadPicture, naming `name`, when there are none to be had."""
    shown = name or path.name
    try:
        with _open(path, shown) as image:
            return np.ascontiguousarray(_rgb(ImageOps.exif_transpose(image)))
    except UNREADABLE as error:
        raise BadPicture(f"{shown} can't be decoded ({error}): replace it by a whole picture file.") from None


def upright_size(path: Path, name: str | None = None) -> tuple[int, int]:
    """(width, height) as `decode` would give them, from the file's head alone."""
    (width, height), turned = _head(path, name or path.name)
    return (height, width) if turned in (5, 6, 7, 8) else (width, height)


def orientation(path: Path, name: str | None = None) -> int:
    """The file's EXIF orientation, 1 to 8; 1, upright, where it has none."""
    turned = _head(path, name or path.name)[1]
    return turned if turned in range(1, 9) else 1


def _head(path: Path, shown: str) -> tuple[tuple[int, int], int]:
    try:
        with _open(path, shown) as image:
            return image.size, image.getexif().get(0x0112, 1)
    except UNREADABLE as error:
        raise BadPicture(f"{shown} can't be decoded ({error}): replace it by a whole picture file.") from None


def _open(path: Path, shown: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # judged below, with our own limit
        try:
            image = Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            raise BadPicture(f"{shown} has more than {MAX_PIXELS} pixels: tile it first.") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise BadPicture(f"{shown} has {width} x {height} pixels, more than {MAX_PIXELS}: tile it first.")
    return image


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of kind {image.mode} are not supported; use 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
