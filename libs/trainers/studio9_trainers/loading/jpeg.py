"""The one decoder's pixels, sooner: JPEG files through libjpeg-turbo without a detour."""

from pathlib import Path

import simplejpeg

from studio9_trainers.data.decode import Pixels, decode


def decode_soon(path: Path, name: str | None = None) -> Pixels:
    """As `decode`, which does what is no upright JPEG of grey or three colours. Raises BadPicture."""
    content = path.read_bytes()
    if plain(content):
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB")
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
