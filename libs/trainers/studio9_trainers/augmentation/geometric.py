"""The operations that move pixels and shapes: seven of the twelve."""

import math

import numpy as np

from studio9_task.augmentations import Applied
from studio9_trainers.augmentation.affine import Matrix, about, enclosing, scale, shift, slant, turn, warp
from studio9_trainers.augmentation.marks import move_shapes
from studio9_trainers.augmentation.scene import Changed, Scene

Generator = np.random.Generator


def rotation(scene: Scene, angle: float, resize: bool) -> Changed:
    """Counter-clockwise about the centre by degrees; `resize`: within its own frame, else the canvas grows."""
    return _framed(scene, turn(angle), resize, Applied(augmentation_type="ROTATION", angle=angle, resize=resize))


def shearing(scene: Scene, angle: float, resize: bool) -> Changed:
    """Slanted by degrees about the centre; `resize`: within its own frame, else the canvas grows."""
    return _framed(scene, slant(angle), resize, Applied(augmentation_type="SHEARING", angle=angle, resize=resize))


def cropping(scene: Scene, fraction: float, resize: bool, random: Generator) -> Changed:
    """A part of this area and of the picture's shape, anywhere; `resize`: enlarged to the picture's size."""
    width, height = scene.size
    side = math.sqrt(fraction)
    inner = max(1, round(width * side)), max(1, round(height * side))
    left, top = (int(random.integers(0, whole - part + 1)) for whole, part in zip(scene.size, inner, strict=True))
    applied = Applied(
        augmentation_type="CROPPING",
        crop_area_fraction=fraction,
        resize=resize,
        extra_params={"left": left, "top": top, "width": inner[0], "height": inner[1]},
    )
    if resize:
        return _warped(scene, scale(width / inner[0], height / inner[1]) @ shift(-left, -top), scene.size, applied)
    return _warped(scene, shift(-left, -top), inner, applied)


def zoom_in(scene: Scene, ratio: float, resize: bool) -> Changed:
    """`resize`: the middle, enlarged to the picture's size; else all of it, in a larger size."""
    return _framed(scene, scale(ratio, ratio), resize, Applied(augmentation_type="ZOOM_IN", ratio=ratio, resize=resize))


def zoom_out(scene: Scene, ratio: float, resize: bool) -> Changed:
    """`resize`: smaller, with black around it; else a smaller picture."""
    applied = Applied(augmentation_type="ZOOM_OUT", ratio=ratio, resize=resize)
    return _framed(scene, scale(ratio, ratio), resize, applied)


def mirroring(scene: Scene, axis: int) -> Changed:
    """0: left and right change places, 1: top and bottom, 2: both. Points named left or right change their names."""
    width, height = scene.size
    matrix = scale(1.0 if axis == 1 else -1.0, 1.0 if axis == 0 else -1.0)
    return _warped(
        scene, about(matrix, width / 2, height / 2), scene.size, Applied(augmentation_type="MIRRORING", flip_axis=axis)
    )


def translation(scene: Scene, fraction: float, mode: str, resize: bool, random: Generator) -> Changed:
    """By whole pixels to a random side and up or down; `resize`: within its own frame, else the canvas grows.

    `mode` REFLECT fills what becomes free with the picture mirrored; what is seen there has no labels.
    """
    x, y = (int(random.choice((-1, 1))) * round(fraction * side) for side in scene.size)
    applied = Applied(
        augmentation_type="TRANSLATION",
        translate_fraction=fraction,
        mode=mode,
        resize=resize,
        extra_params={"shiftX": x, "shiftY": y},
    )
    reflect = mode == "REFLECT"
    if resize:
        return _warped(scene, shift(x, y), scene.size, applied, reflect)
    width, height = scene.size
    return _warped(scene, shift(max(x, 0), max(y, 0)), (width + abs(x), height + abs(y)), applied, reflect)


def _framed(scene: Scene, matrix: Matrix, resize: bool, applied: Applied) -> Changed:
    width, height = scene.size
    centred, canvas = about(matrix, width / 2, height / 2), scene.size
    if not resize:
        centred, canvas = enclosing(matrix, scene.size)
    return _warped(scene, centred, canvas, applied)


def _warped(scene: Scene, matrix: Matrix, canvas: tuple[int, int], applied: Applied, reflect: bool = False) -> Changed:
    shapes, dropped = move_shapes(scene.shapes, matrix, scene.size, canvas)
    return Changed(Scene(warp(scene.pixels, matrix, canvas, reflect), shapes), applied, dropped)
