"""Tiles as files: encoded, written beside a manifest, and as the pictures of a training."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image

from studio9_task.outputs import Written
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.tiles import TileSpec
from studio9_trainers.data.decode import Pixels
from studio9_trainers.tiling.cutting import cut
from studio9_trainers.tiling.grid import Tile
from studio9_trainers.tiling.shapes import into_tile
from studio9_trainers.tiling.source import MEMORY_MIB

Format = Literal["jpeg", "png"]
SUFFIX = {"jpeg": ".jpg", "png": ".png"}


@dataclass(frozen=True)
class Encoding:
    """How tiles are stored. `quality` is JPEG's, of 1 to 100; PNG loses nothing."""

    format: Format = "jpeg"
    quality: int = 90

    def encode(self, pixels: Pixels) -> bytes:
        """One tile's file."""
        if self.format == "jpeg":
            content = np.ascontiguousarray(pixels)
            return bytes(simplejpeg.encode_jpeg(content, self.quality, "RGB", "420"))
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()


def encoded(
    path: Path, spec: TileSpec, encoding: Encoding, name: str | None = None, memory_mib: int = MEMORY_MIB
) -> Iterator[tuple[Tile, bytes]]:
    """Every tile of a picture as a file's content. Raises what `cut` raises."""
    for tile, pixels in cut(path, spec, name, memory_mib):
        yield tile, encoding.encode(pixels)


@dataclass(frozen=True)
class Tiled:
    """What cutting pictures has made."""

    manifest: Written
    tiles: int
    dropped: int


def write_tiles(
    pictures: Iterator[tuple[PictureRecord, Path]],
    spec: TileSpec,
    folder: Path,
    encoding: Encoding | None = None,
    memory_mib: int = MEMORY_MIB,
    done: Callable[[], None] = lambda: None,
) -> Tiled:
    """Write every tile of the pictures to `folder/pictures/<sha256>`, and `folder/manifest.jsonl`, which is a data set.

    A tile's group is its picture's, and its split too: tiles of one picture never fall on both sides of a split. Its
    id is the picture's and its place in the grid. `done` is called after each picture.
    """
    encoding = encoding or Encoding()
    count = dropped = 0
    (folder / "pictures").mkdir(parents=True, exist_ok=True)

    def records() -> Iterator[PictureRecord]:
        nonlocal count, dropped
        for record, path in pictures:
            for tile, pixels in cut(path, spec, record.filename or record.picture_id, memory_mib):
                content = encoding.encode(pixels)
                digest = hashlib.sha256(content).hexdigest()
                (folder / "pictures" / digest).write_bytes(content)
                shown = into_tile(record.annotations, tile)
                count, dropped = count + 1, dropped + shown.dropped
                yield tile_record(record, tile, pixels, digest, len(content), encoding).model_copy(
                    update={"annotations": shown.shapes}
                )
            done()

    manifest, _ = write_manifest(folder / "manifest.jsonl", records())
    return Tiled(manifest, count, dropped)


def tile_record(
    record: PictureRecord, tile: Tile, pixels: Pixels, digest: str, size: int, encoding: Encoding
) -> PictureRecord:
    """A tile as a picture of its own, without annotations."""
    height, width = pixels.shape[:2]
    # An id has at most 64 characters: of a longer one its hash stays.
    whole = f"{record.picture_id}.{tile.name}"
    own = whole if len(whole) <= 64 else f"{hashlib.sha256(record.picture_id.encode()).hexdigest()[:48]}.{tile.name}"
    stem = Path(record.filename or record.picture_id).stem
    return PictureRecord(
        picture_id=own,
        version=digest,
        sha256=digest,
        key=f"tiles/{digest}",
        filename=f"{stem}.{tile.name}{SUFFIX[encoding.format]}",
        size=size,
        width=width,
        height=height,
        split=record.split,
        group=record.group or record.sha256,
        label_revision=record.label_revision,
    )
