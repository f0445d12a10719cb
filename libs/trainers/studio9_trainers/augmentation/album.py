"""Augmenting many pictures: which of them go through which step, and the files and records that come of it."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from studio9_task.augmentations import AugmentedRecord, Step, share
from studio9_task.outputs import Written, write_bytes
from studio9_task.shapes import Box, Shape
from studio9_trainers.augmentation.operations import drawn_values, perform
from studio9_trainers.augmentation.scene import Scene
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels, decode

QUALITY = 95
"""Of JPEG files, without loss of colour resolution."""


@dataclass(frozen=True)
class Planned:
    """One picture on its way through one step; `lap` counts how often the list was gone through before."""

    picture: int
    step: int
    lap: int


@dataclass
class Bloated:
    """What came of it so far."""

    counts: list[int]
    boxes: int = 0
    dropped: int = 0
    names: set[str] = field(default_factory=set)
    made: list[tuple[AugmentedRecord, Written]] = field(default_factory=list)
    """Kept where the caller wants them again."""


def plan(pictures: int, bloat_factor: int, steps: int) -> Iterator[Planned]:
    """The form's shares, step by step."""
    for step, (first, count) in enumerate(share(pictures, bloat_factor, steps)):
        for at in range(first, first + count):
            yield Planned(at % pictures, step, at // pictures)


def augmented(
    pictures: Sequence[Picture],
    steps: Sequence[Step],
    bloat_factor: int,
    seed: int,
    folder: Path,
    done: Bloated,
    passed: Callable[[], None] = lambda: None,
) -> Iterator[tuple[AugmentedRecord, Written]]:
    """Each new picture's record and its file, written to `folder` under its hash.

    The same pictures, steps and seed give the same bytes. `done` is filled on the way; `passed` is called after each
    picture of the plan and may raise. Raises BadPicture for one that can't be decoded.
    """
    for planned in plan(len(pictures), bloat_factor, len(steps)):
        picture, step = pictures[planned.picture], steps[planned.step]
        record = picture.record
        random = generator(seed, record.sha256, planned.step, planned.lap)
        scene = Scene(decode(picture.path, record.filename or record.picture_id), marks(picture))
        lossy = is_jpeg(picture.path)
        for value in drawn_values(step, random):
            changed = perform(step, value, scene, random)
            content = encoded(changed.scene.pixels, lossy)
            digest = hashlib.sha256(content).hexdigest()
            number = sum(done.counts)
            new = AugmentedRecord(
                picture_id=hashlib.sha256(f"{record.picture_id} {number} {digest}".encode()).hexdigest()[:32],
                version=digest,
                sha256=digest,
                key=f"pictures/{digest}",
                filename=unique_name(f"{record.filename}_{step.augmentation_type}", done.names),
                size=len(content),
                width=changed.scene.size[0],
                height=changed.scene.size[1],
                split=record.split,
                group=record.group or record.sha256,
                label_revision=record.label_revision,
                annotations=changed.scene.shapes,
                original_id=record.picture_id,
                applied=(changed.applied,),
                boxes_dropped=changed.dropped,
            )
            done.counts[planned.step] += 1
            done.boxes += len(changed.scene.shapes)
            done.dropped += changed.dropped
            yield new, write_bytes(folder / digest, content)
        passed()


def marks(picture: Picture) -> tuple[Shape, ...]:
    """What is marked on the picture, its boxes cut to it."""
    others = (shape for shape in picture.record.annotations if not isinstance(shape, Box))
    return (*picture.boxes, *others)


def generator(seed: int, *parts: object) -> np.random.Generator:
    """Random numbers that depend on the seed and these parts alone."""
    digest = hashlib.sha256(" ".join(map(str, (seed, *parts))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def is_jpeg(path: Path) -> bool:
    """Whether a file begins as JPEG files do."""
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"


def encoded(pixels: Pixels, lossy: bool) -> bytes:
    """A file: JPEG where the original was one, else PNG."""
    content = io.BytesIO()
    image = Image.fromarray(pixels)
    if lossy:
        image.save(content, "JPEG", quality=QUALITY, subsampling=0)
    else:
        image.save(content, "PNG", compress_level=3)
    return content.getvalue()


def unique_name(name: str, taken: set[str]) -> str:
    """The name, or with ` 1`, ` 2`, … behind it; it is taken from then on."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name} {number}"
    taken.add(found)
    return found
