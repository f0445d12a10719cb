"""What Taurus must know of a picture before it asks for a prediction: its size, read from its header alone.

The task decodes the whole in its sandbox; here nothing is decoded, and a header with too many pixels is refused.
"""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "GIF")
_SIDEWAYS = {5, 6, 7, 8}
_ORIENTATION = 0x0112


class NotAPicture(Exception):
    """The object is not a picture that can be predicted; the message says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Pixels of the upright picture, and its media type."""

    width: int
    height: int
    media_type: str


def measure(content: bytes, *, max_pixels: int) -> Measured:
    """Reads the header. Raises NotAPicture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
                kind = Image.MIME.get(image.format or "", "application/octet-stream")
                sideways = image.format == "JPEG" and image.getexif().get(_ORIENTATION) in _SIDEWAYS
    except UnidentifiedImageError:
        raise NotAPicture("it is not a PNG, JPEG or GIF picture") from None
    except Exception as error:  # a header that lies fails in many ways
        raise NotAPicture(f"its header cannot be read ({type(error).__name__})") from None
    if width * height > max_pixels:
        raise NotAPicture(f"{width}x{height} pixels are over the limit of {max_pixels}")
    return Measured(height, width, kind) if sideways else Measured(width, height, kind)
