"""Augmenting the pictures that a training fits to, after they were split."""

from collections.abc import Callable, Sequence
from pathlib import Path

from studio9_task.augmentations import Step
from studio9_task.pictures import PictureRecord
from studio9_trainers.augmentation.album import Bloated, augmented
from studio9_trainers.data.dataset import Picture, PictureSet


def bloat(
    pictures: PictureSet,
    steps: Sequence[Step],
    bloat_factor: int,
    seed: int,
    folder: Path,
    passed: Callable[[], None] = lambda: None,
) -> tuple[PictureSet, Bloated]:
    """The pictures and their augmented copies, which lie in `folder`; and what came of each step.

    To be called on what was split off for fitting: a copy then never validates its original.
    """
    done = Bloated([0] * len(steps), names={picture.record.filename for picture in pictures.pictures})
    done.made.extend(augmented(pictures.pictures, steps, bloat_factor, seed, folder, done, passed))
    made = (_picture(record, written.path) for record, written in done.made)
    return PictureSet(pictures.name, (*pictures.pictures, *made)), done


def _picture(record: PictureRecord, path: Path) -> Picture:
    return Picture(record, path, record.boxes)
