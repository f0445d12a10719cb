"""From a step's parameters to its operation."""

import numpy as np

from studio9_task.augmentations import (
    Blurring,
    Cropping,
    Mirroring,
    Noising,
    Occlusion,
    PhotoDistort,
    Rotation,
    SaltPepper,
    Shearing,
    Step,
    Translation,
    ZoomIn,
    ZoomOut,
    images_per_input,
)
from studio9_trainers.augmentation import colours, geometric
from studio9_trainers.augmentation.scene import Changed, Scene

Generator = np.random.Generator


def perform(step: Step, value: float, scene: Scene, random: Generator) -> Changed:
    """Do a step with one value of its list. The same arguments and generator state give the same bytes."""
    match step:
        case Rotation():
            return geometric.rotation(scene, value, step.resize)
        case Shearing():
            return geometric.shearing(scene, value, step.resize)
        case Cropping():
            return geometric.cropping(scene, value, step.resize, random)
        case Blurring():
            return colours.blurring(scene, value)
        case Noising():
            return colours.noising(scene, value, random)
        case ZoomIn():
            return geometric.zoom_in(scene, value, step.resize)
        case ZoomOut():
            return geometric.zoom_out(scene, value, step.resize)
        case Occlusion():
            window = step.target_window_size
            return colours.occlusion(scene, value, step.mode, step.is_sar_album, window, random)
        case SaltPepper():
            return colours.salt_pepper(scene, value, step.pepper_probability, random)
        case Mirroring():
            return geometric.mirroring(scene, int(value))
        case Translation():
            return geometric.translation(scene, value, step.mode, step.resize, random)
        case PhotoDistort():
            return colours.photo_distort(scene, step.alpha_min, step.alpha_max, step.delta_max, random)


def drawn_values(step: Step, random: Generator) -> list[float]:
    """The values with which one picture goes through a step: as many as its bloat factor allows, each at most once,
    a crop's as often as there are crops a picture."""
    pool = list(step.values) * (step.crops_per_image if isinstance(step, Cropping) else 1)
    return [pool[at] for at in random.permutation(len(pool))[: images_per_input(step)]]


def one_of(steps: tuple[Step, ...], scene: Scene, random: Generator) -> Changed:
    """One value of one step, both at random: the augmentation inside a training loop."""
    step = steps[int(random.integers(len(steps)))]
    return perform(step, step.values[int(random.integers(len(step.values)))], scene, random)
