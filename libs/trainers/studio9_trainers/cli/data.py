"""Finds out which format labelled pictures are in, and reads them."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from studio9_task.pictures import read_manifest
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.collection import Collection, Sample, found, picture_files
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.coco import read_coco
from studio9_trainers.data.formats.folders import read_folders
from studio9_trainers.data.formats.salsa import read_salsa
from studio9_trainers.data.formats.voc import read_voc
from studio9_trainers.data.formats.yolo import read_yolo
from studio9_trainers.errors import BadInput

FORMATS = ("auto", "tiles", "coco", "salsa", "yolo", "voc", "folders", "bare")
SHOWN = 10
"""Findings that are printed; the rest are counted."""


def add_format(parser: argparse.ArgumentParser) -> None:
    """The option that names the format."""
    parser.add_argument("--format", choices=FORMATS, default="auto", help="of the labels; auto looks at the files")


def read_data(path: Path, format: str = "auto") -> Collection:
    """Pictures and labels of a folder, or of a COCO or CSV file. Prints what it found wrong.

    Raises BadInput where there is an error, and where there is no picture at all.
    """
    if not path.exists():
        raise BadInput(f"{path}: there is no such file or folder: give the pictures' folder, or the labels' file.")
    kind = recognised(path) if format == "auto" else format
    readers: dict[str, Callable[[Path], Collection]] = {
        "tiles": _read_tiles,
        "coco": read_coco,
        "salsa": read_salsa,
        "yolo": read_yolo,
        "voc": read_voc,
        "folders": read_folders,
        "bare": read_bare,
    }
    read = readers[kind](path)
    errors = [one for one in read.findings if one.level == "error"]
    for one in read.findings[:SHOWN]:
        print(f"studio9: {one.level}: {one}", file=sys.stderr)
    if len(read.findings) > SHOWN:
        print(f"studio9: and {len(read.findings) - SHOWN} findings more", file=sys.stderr)
    if errors:
        raise BadInput(f"{path}: {len(errors)} errors in the data: correct them as they say.")
    if not read.samples:
        raise BadInput(
            f"{path}: there are no pictures: give a folder with some, or the right --format ({kind} was read)."
        )
    return read


def recognised(path: Path) -> str:
    """The format by the files that are there."""
    if path.is_file():
        return {".json": "coco", ".csv": "salsa"}.get(path.suffix.lower(), "bare")
    if (path / "manifest.jsonl").is_file():
        return "tiles"
    if any(path.glob("*.yaml")):
        return "yolo"
    if next(path.rglob("*.xml"), None) is not None:
        return "voc"
    folders = {file.parent for file in picture_files(path)}
    return "folders" if folders and path not in folders else "bare"


def read_bare(path: Path) -> Collection:
    """Pictures without labels: one file, or all of a folder."""
    findings: list[Finding] = []
    files = [path] if path.is_file() else picture_files(path)
    top = path.parent if path.is_file() else path
    samples = [found(file, file.relative_to(top).as_posix(), findings) for file in files]
    return Collection(tuple(one for one in samples if one is not None), ClassMap({}), tuple(findings))


def _read_tiles(path: Path) -> Collection:
    samples = tuple(
        Sample(path / "pictures" / record.sha256, record) for record in read_manifest(path / "manifest.jsonl")
    )
    labels = sorted({shape.label for one in samples for shape in one.record.annotations})
    return Collection(samples, ClassMap.of(labels))
