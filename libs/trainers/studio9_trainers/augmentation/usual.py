"""What is done when nobody chose: Salsa's twelve steps, without mirroring where that would change the meaning."""

import re
from collections.abc import Iterable

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
)

_READ = re.compile(
    r"(^|[\W_])(text|digits?|letters?|characters?|numbers?|words?|sign|plate|left|right)($|[\W_])", re.IGNORECASE
)


def usual_steps(labels: Iterable[str]) -> tuple[Step, ...]:
    """The form's own steps for pictures with these labels."""
    known = tuple(labels)
    steps: tuple[Step, ...] = (
        Rotation(angles=(45, 90, 135, 180, 270)),
        Shearing(angles=(15, 30)),
        Cropping(crop_area_fractions=(0.25, 0.36, 0.49, 0.64)),
        Blurring(sigmas=(0.5, 1, 2, 4)),
        Noising(noise_signal_ratios=(0.15, 0.3, 0.45, 0.6, 0.75)),
        ZoomIn(ratios=(1.2, 1.5, 1.75, 2, 2.5)),
        ZoomOut(ratios=(0.2, 0.5, 0.33, 0.5, 0.7)),
        Occlusion(occ_area_fractions=(0.05, 0.1, 0.25, 0.5, 0.65)),
        SaltPepper(knockout_fractions=(0.05, 0.1, 0.2, 0.3)),
        Mirroring(flip_axes=(0, 1, 2)),
        Translation(translate_fractions=(0.1, 0.2, 0.3, 0.4), bloat_factor=4),
        PhotoDistort(),
    )
    return tuple(step for step in steps if not isinstance(step, Mirroring) or may_be_mirrored(known))


def may_be_mirrored(labels: Iterable[str]) -> bool:
    """Whether a mirrored picture still shows what its labels say: not for text, digits, or what has a side."""
    return not any(len(label) == 1 or label.isdigit() or _READ.search(label) for label in labels)
