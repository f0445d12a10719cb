"""Which input size a training takes when none is given."""

from studio9_trainers.config import multiple_of_32
from studio9_trainers.data.dataset import PictureSet


def fitting_size(pictures: PictureSet, largest: int, least: int = 64) -> int:
    """The median longer side of the pictures as a multiple of 32, from `least` to `largest` pixels."""
    sides = sorted(max(picture.record.width, picture.record.height) for picture in pictures.pictures)
    return max(least, min(largest, multiple_of_32(sides[len(sides) // 2])))
