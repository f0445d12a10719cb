"""The picture manifest, `inputs/<name>/manifest.jsonl`: one picture a line, pixels in `inputs/pictures/`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from studio9_task.lines import read_lines, write_lines
from studio9_task.model import Contract, Sha256
from studio9_task.outputs import Written
from studio9_task.shapes import Box, Shape, Tag

Split = Literal["train", "val", "test", "none"]


class PictureRecord(Contract):
    """One picture of a dataset version: which bytes, which label revision, what is marked on it."""

    picture_id: str = Field(min_length=1, max_length=64)
    version: Sha256 = Field(description="the picture version: the hash of its bytes")
    sha256: Sha256
    key: str = Field(min_length=1, max_length=1024, description="object key; the task has no use for it")
    filename: str = Field(max_length=1024, description="the user's name for it; text, never a path")
    size: int = Field(ge=0, description="bytes")
    width: int = Field(gt=0, description="pixels, upright")
    height: int = Field(gt=0, description="pixels, upright")
    orientation: int | None = Field(default=None, ge=1, le=8, description="the file's EXIF orientation; none: unknown")
    split: Split = "none"
    group: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="pictures of one origin (copies, tiles, frames) share it and one split"
    )
    frame: int | None = Field(default=None, ge=0, description="of a frame of a video: its number there, from 0")
    label_revision: str | None = None
    annotations: tuple[Shape, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The upright boxes among the annotations."""
        return tuple(shape for shape in self.annotations if isinstance(shape, Box))

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The labels of the whole picture."""
        return tuple(shape for shape in self.annotations if isinstance(shape, Tag))


def read_manifest(path: Path) -> Iterator[PictureRecord]:
    """Stream a manifest; raises ManifestError naming file, line and field."""
    return read_lines(path, PictureRecord)


def write_manifest(path: Path, pictures: Iterable[PictureRecord]) -> tuple[Written, int]:
    """Write a manifest as a whole; its file and the number of pictures."""
    return write_lines(path, pictures)
