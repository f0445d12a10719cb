"""Labelled pictures of a task: read, judged before anything is computed, and split."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from studio9_task.errors import ManifestError
from studio9_task.layout import TaskFolder
from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.shapes import Box, Keypoints, Mask, Polygon, RotatedBox
from studio9_trainers.data.blanks import blanks
from studio9_trainers.data.decode import upright_size
from studio9_trainers.data.origins import origins
from studio9_trainers.errors import BadInput

Mark = Polygon | Mask | Keypoints | RotatedBox
"""A shape of one object that is more than its box."""
LEAST = 5
"""Of fewer pictures none are held back."""
SLACK = 1.0
"""Pixels by which a box may leave its picture (rounding of other tools); it is cut there."""


@dataclass(frozen=True)
class Picture:
    """One picture and its true boxes, cut to the picture. `marks`: where a task learns from other shapes, these; the
    boxes are then those around them, in the same order (studio9_trainers.data.marks)."""

    record: PictureRecord
    path: Path
    boxes: tuple[Box, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class PictureSet:
    """The pictures of one input, in the manifest's order."""

    name: str
    pictures: tuple[Picture, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({box.label for picture in self.pictures for box in picture.boxes}))

    @cached_property
    def boxes(self) -> int:
        """How many true boxes there are."""
        return sum(len(picture.boxes) for picture in self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)


def read_pictures(folder: TaskFolder, name: str, judge: bool = True) -> PictureSet:
    """Read the manifest of input `name`; with `judge`, judge every picture by its file's head, and its boxes.

    Raises BadInput with all findings (the first few are named), each naming manifest line, picture and fix.
    Unjudged pictures come without their boxes.
    """
    findings: list[str] = []
    pictures: list[Picture] = []
    try:
        for number, record in enumerate(read_manifest(folder.manifest(name)), 1):
            path = folder.picture(record.sha256)
            if not judge:
                pictures.append(Picture(record, path, ()))
                continue
            where = f"{name}, line {number} ({record.filename or record.picture_id})"
            finding = _judge_picture(path, record, where)
            boxes = []
            for box in record.boxes:
                cut = _cut(box, record.width, record.height)
                if cut is None:
                    finding = finding or _outside(box, record, where)
                else:
                    boxes.append(cut)
            if finding:
                findings.append(finding)
            pictures.append(Picture(record, path, tuple(boxes)))
    except ManifestError as error:
        raise BadInput(str(error)) from None
    if findings:
        raise BadInput.of(findings)
    if not pictures:
        raise BadInput(f"{name} has no pictures: add some to the album.")
    return PictureSet(name, tuple(pictures))


def split_off(pictures: PictureSet, fraction: float) -> tuple[PictureSet, PictureSet]:
    """(to train on, to validate on): by the manifest's own split if it names one, else so large a part by hash.

    The same pictures always fall on the same side, and those of one group together. With fewer than five
    pictures, or groups that can't be parted, both sides are all of them.
    """
    own = [picture.record.split == "val" for picture in pictures.pictures]
    if not any(own) or all(own):
        own = _by_hash(pictures.pictures, fraction)
    if not any(own) or all(own):
        return pictures, replace(pictures, name="val")
    train = tuple(picture for picture, held in zip(pictures.pictures, own, strict=True) if not held)
    held = tuple(picture for picture, held in zip(pictures.pictures, own, strict=True) if held)
    return PictureSet(pictures.name, train), PictureSet("val", held)


def not_parted(pictures: PictureSet) -> str:
    """Why `split_off` has given all pictures on both sides, and what to do."""
    if len(pictures) < LEAST:
        return f"{len(pictures)} pictures are too few to hold some back: give {LEAST} or more, or a `val` album."
    return f"{len(pictures)} pictures are all of one origin (one video), none can be held back: name an album `val`."


def shared(one: PictureSet, other: PictureSet) -> int:
    """How many pictures of `other` are in `one` too, by content or by group."""
    owners = origins_of((*one.pictures, *other.pictures))
    mine = set(owners[: len(one)])
    return sum(owner in mine for owner in owners[len(one) :])


def origins_of(pictures: Sequence[Picture]) -> list[str]:
    """A name of each picture's origin; blank ones that several share stand for themselves."""
    blank = blanks((picture.record, picture.path) for picture in pictures)
    return origins((picture.record for picture in pictures), blank)


def _by_hash(pictures: Sequence[Picture], fraction: float) -> list[bool]:
    if len(pictures) < LEAST:
        return [False] * len(pictures)
    keys = origins_of(pictures)
    ranked = _ranked(keys)
    wanted = max(1, round(len(ranked) * fraction))
    held = set(ranked[:wanted])
    return [key in held for key in keys]


def _ranked(keys: Iterable[str]) -> list[str]:
    return sorted(set(keys), key=lambda key: hashlib.sha256(f"val:{key}".encode()).digest())


def _judge_picture(path: Path, record: PictureRecord, where: str) -> str | None:
    if not path.is_file():
        return f"{where}: the picture's file is missing: upload it again."
    try:
        size = upright_size(path, record.filename or record.picture_id)
    except BadInput as error:
        return f"{where}: {error}"
    if size != (record.width, record.height):
        told = f"{record.width} x {record.height}"
        return f"{where}: {told} pixels are recorded, the file has {size[0]} x {size[1]}: upload it again."
    return None


def _cut(box: Box, width: int, height: int) -> Box | None:
    """The box within its picture; none where it leaves it by more than the slack."""
    left, top, right, bottom = box.corners
    if left < -SLACK or top < -SLACK or right > width + SLACK or bottom > height + SLACK:
        return None
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    if right <= left or bottom <= top:
        return None
    return box.model_copy(update={"left": left, "top": top, "width": right - left, "height": bottom - top})


def _outside(box: Box, record: PictureRecord, where: str) -> str:
    left, top, right, bottom = box.corners
    return (
        f"{where}: the box of {box.label!r} from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) leaves the picture "
        f"of {record.width} x {record.height} pixels: correct it."
    )
