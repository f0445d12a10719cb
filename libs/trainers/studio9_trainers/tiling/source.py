"""Pictures of any size, row by row: baseline JPEG, plain PNG and TIFF are streamed in bounded memory through libvips.

The pixels are those of the one decoder. What can't be streamed is decoded as a whole where it fits, else refused
with its name and a way out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyvips
from PIL import Image

from studio9_trainers.data.decode import Pixels, decode
from studio9_trainers.errors import BadInput, BadPicture
from studio9_trainers.tiling.upright import Upright

STRIP = 16
"""Rows that are decoded at once: as many as one row of a JPEG's blocks has. They are still in the processor's cache
when they are copied to their tiles; with 64 rows of 10,240 pixels decoding took a quarter longer."""
MEMORY_MIB = 1024
"""What a picture that must be held as a whole may take, unless the caller allows more."""
STREAMED = {"jpegload": "JPEG", "pngload": "PNG", "tiffload": "TIFF"}


class Source(Protocol):
    """A picture whose stored rows can be read from top to bottom."""

    @property
    def upright(self) -> Upright:
        """How it is stored."""

    def strips(self, width: int, height: int) -> Iterator[tuple[int, Pixels]]:
        """(first row, pixels) of the stored picture scaled to a size, from the top."""


@dataclass(frozen=True)
class Streamed:
    """A file that libvips reads in order, with little of it in memory."""

    path: Path
    name: str
    upright: Upright

    def strips(self, width: int, height: int) -> Iterator[tuple[int, Pixels]]:
        """See Source."""
        try:
            image = pyvips.Image.new_from_file(str(self.path), access="sequential", fail_on="truncated")
            if (width, height) != (image.width, image.height):
                image = image.resize(width / image.width, vscale=height / image.height)
            region = pyvips.Region.new(image)
            kind = np.dtype(np.uint16 if image.format == "ushort" else np.uint8)
            for top in range(0, height, STRIP):
                rows = min(STRIP, height - top)
                stored = np.frombuffer(region.fetch(0, top, width, rows), kind)
                yield top, _rgb(stored.reshape(rows, width, image.bands))
        except pyvips.Error as error:
            reason = str(error).strip().splitlines()[-1]
            raise BadPicture(f"{self.name} can't be decoded ({reason}): replace it by a whole picture file.") from None


@dataclass(frozen=True)
class Whole:
    """A picture that is decoded as a whole; it is upright already."""

    pixels: Pixels
    upright: Upright

    def strips(self, width: int, height: int) -> Iterator[tuple[int, Pixels]]:
        """See Source."""
        pixels = self.scaled(width, height)
        for top in range(0, height, STRIP):
            yield top, pixels[top : top + STRIP]

    def scaled(self, width: int, height: int) -> Pixels:
        """All of it in a size."""
        if (width, height) == (self.pixels.shape[1], self.pixels.shape[0]):
            return self.pixels
        return np.asarray(Image.fromarray(self.pixels).resize((width, height), Image.Resampling.LANCZOS))


def open_source(path: Path, name: str | None = None, memory_mib: int = MEMORY_MIB) -> Source:
    """The picture of a file. Raises BadPicture when it is none, BadInput when it takes more memory than allowed."""
    shown = name or path.name
    try:
        head = pyvips.Image.new_from_file(str(path))
    except pyvips.Error:
        head = None
    if head is None or not _plain(head):
        pixels = decode(path, shown)  # which refuses what is too large, naming the limit
        return Whole(pixels, Upright(1, pixels.shape[1], pixels.shape[0]))
    if _field(head, "interlaced"):
        _judge_memory(head, shown, memory_mib)
    return Streamed(path, shown, Upright(int(_field(head, "orientation") or 1), head.width, head.height))


def _plain(head: Any) -> bool:
    """Whether it is of a kind whose pixels come out as the one decoder gives them."""
    loader = str(_field(head, "vips-loader") or "").removesuffix("_source")
    of_grey_or_rgb = head.interpretation in ("srgb", "b-w", "rgb", "rgb16", "grey16")
    return loader in STREAMED and head.format in ("uchar", "ushort") and of_grey_or_rgb


def _judge_memory(head: Any, shown: str, memory_mib: int) -> None:
    jpeg = str(_field(head, "vips-loader")).startswith("jpeg")
    # A progressive JPEG's coefficients are held, of two bytes each; of an interlaced PNG the samples.
    taken = head.width * head.height * head.bands * (2 if jpeg or head.format == "ushort" else 1) / 2**20
    if taken <= memory_mib:
        return
    kind = "a progressive JPEG" if jpeg else "an interlaced PNG"
    plain = "a baseline JPEG (jpegtran -copy all, without -progressive)" if jpeg else "a PNG without interlacing"
    raise BadInput(
        f"{shown} is {kind} of {head.width} x {head.height} pixels, which can only be decoded as a whole: that may "
        f"take {taken:.0f} MiB of memory, and {memory_mib} MiB are allowed. Save it as {plain} or a tiled TIFF, "
        f"or allow the memory (memory_mib)."
    )


def _field(head: Any, name: str) -> Any:
    return head.get(name) if head.get_typeof(name) else None


def _rgb(stored: Any) -> Pixels:
    """Rows as libvips gives them, as red, green, blue: the rules are the one decoder's."""
    if stored.dtype == np.uint16:
        stored = (stored >> 8).astype(np.uint8)
    bands = stored.shape[2]
    if bands == 1:
        return np.repeat(stored, 3, axis=2)
    if bands in (2, 4):
        layer = Image.fromarray(stored[..., 0] if bands == 2 else np.ascontiguousarray(stored[..., :3])).convert("RGBA")
        layer.putalpha(Image.fromarray(np.ascontiguousarray(stored[..., -1])))
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, layer).convert("RGB"))
    return stored[..., :3]
