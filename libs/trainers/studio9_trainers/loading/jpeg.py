"""The one decoder's pixels, sooner: JPEG files through libjpeg-turbo without a detour."""

import math
from pathlib import Path

import simplejpeg

from studio9_trainers.data.decode import Pixels, decode


def decode_soon(path: Path, name: str | None = None, size: tuple[int, int] | None = None, needed: float = 1) -> Pixels:
    """As `decode`, which does what is no upright JPEG of grey or three colours. Raises BadPicture.

    With `size`, the picture's (height, width), and `needed`, the part that it will be scaled to, a JPEG may come at a
    half, a quarter or an eighth of its size, each pixel the mean of so many, but never below what is needed.
    """
    content = path.read_bytes()
    if plain(content):
        less = {}
        if size is not None and (parts := next((k for k in (8, 4, 2) if needed * k <= 1), None)):
            less = {"min_height": math.ceil(size[0] / parts), "min_width": math.ceil(size[1] / parts)}
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB", **less)
            return pixels
        except ValueError:
            pass  # damaged: the decoder says how
    return decode(path, name)


def plain(content: bytes) -> bool:
    """Whether it is a JPEG without EXIF (which may turn it) of at most three colours, by the segments of its head."""
    if content[:2] != b"\xff\xd8":
        return False
    at = 2
    while at + 10 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xE1 and content[at + 4 : at + 8] == b"Exif":
            return False
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame's begin: its count of colours
            return content[at + 9] in (1, 3)
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False
