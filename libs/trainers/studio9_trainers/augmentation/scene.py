"""A picture with what is marked on it, before and after an operation."""

from dataclasses import dataclass

from studio9_task.augmentations import Applied
from studio9_task.shapes import Shape
from studio9_trainers.data.decode import Pixels


@dataclass(frozen=True)
class Scene:
    """Pixels and shapes. No operation changes them in place."""

    pixels: Pixels
    shapes: tuple[Shape, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Changed:
    """What an operation made, what it did, and how many shapes had less than a fifth left."""

    scene: Scene
    applied: Applied
    dropped: int = 0
