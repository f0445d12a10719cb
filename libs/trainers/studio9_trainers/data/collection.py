"""Pictures on the disk with what is marked on them, in whatever format they came."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio9_task.pictures import PictureRecord, Split
from studio9_task.shapes import Shape
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.decode import orientation, upright_size
from studio9_trainers.data.findings import Finding
from studio9_trainers.errors import BadPicture

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True)
class Sample:
    """One picture file and its record."""

    path: Path
    record: PictureRecord


@dataclass(frozen=True)
class Collection:
    """What a reader found, and what it found wrong."""

    samples: tuple[Sample, ...]
    classes: ClassMap
    findings: tuple[Finding, ...] = ()


def sample_of(
    path: Path, name: str, shapes: Iterable[Shape] = (), split: Split = "none", group: str | None = None
) -> Sample:
    """A picture file's record. Raises BadPicture where it can't be decoded, by its head alone."""
    width, height = upright_size(path, name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = PictureRecord(
        picture_id=hashlib.sha256(f"{name} {digest}".encode()).hexdigest()[:32],
        version=digest,
        sha256=digest,
        key=f"pictures/{digest}",
        filename=name,
        size=path.stat().st_size,
        width=width,
        height=height,
        orientation=orientation(path, name),
        split=split,
        group=group,
        annotations=tuple(shapes),
    )
    return Sample(path, record)


def found(path: Path, name: str, findings: list[Finding], split: Split = "none") -> Sample | None:
    """A bare sample, or none and a finding where the file is missing or no picture."""
    if not path.is_file():
        findings.append(Finding("error", "missing_picture", "the picture is missing", "add it or its label", file=name))
        return None
    try:
        return sample_of(path, name, split=split)
    except BadPicture as error:
        message = str(error).partition(": replace")[0]
        findings.append(Finding("error", "broken_picture", message, "replace it by a whole picture", file=name))
        return None


def picture_files(folder: Path) -> list[Path]:
    """All picture files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())


def lost(sample: Sample, what: str, fmt: str) -> Finding:
    """A note that a format can't hold something."""
    name = sample.record.filename
    return Finding("note", "not_written", f"{fmt} can't hold {what}", "use COCO to keep it", file=name)
