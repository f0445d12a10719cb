"""The operations that change pixels where they are: five of the twelve."""

import math
from typing import Any

import cv2
import numpy as np

from studio9_task.augmentations import Applied
from studio9_task.shapes import Box, Shape
from studio9_trainers.augmentation.marks import LEAST_LEFT
from studio9_trainers.augmentation.scene import Changed, Scene
from studio9_trainers.data.decode import Pixels

Generator = np.random.Generator


def blurring(scene: Scene, sigma: float) -> Changed:
    """By a bell of this standard deviation, in pixels."""
    blurred = np.asarray(cv2.GaussianBlur(scene.pixels, (0, 0), sigma), dtype=np.uint8)
    return Changed(Scene(blurred, scene.shapes), Applied(augmentation_type="BLURRING", sigma=sigma))


def noising(scene: Scene, ratio: float, random: Generator) -> Changed:
    """Normal noise, its standard deviation this part of the picture's own."""
    deviation = ratio * float(scene.pixels.std())
    noise = random.normal(0, deviation, scene.pixels.shape)
    applied = Applied(
        augmentation_type="NOISING", noise_signal_ratio=ratio, extra_params={"deviation": round(deviation, 6)}
    )
    return Changed(Scene(_whole(scene.pixels + noise), scene.shapes), applied)


def salt_pepper(scene: Scene, fraction: float, pepper: float, random: Generator) -> Changed:
    """This part of the pixels black (with probability `pepper`) or white."""
    pixels = scene.pixels.copy()
    hit = random.random(pixels.shape[:2]) < fraction
    black = random.random(pixels.shape[:2]) < pepper
    pixels[hit & black] = 0
    pixels[hit & ~black] = 255
    applied = Applied(augmentation_type="SALT_PEPPER", knockout_fraction=fraction, pepper_probability=pepper)
    return Changed(Scene(pixels, scene.shapes), applied)


def photo_distort(scene: Scene, alpha_min: float, alpha_max: float, delta_max: float, random: Generator) -> Changed:
    """Contrast and saturation times factors between the two, hue turned by up to `delta_max` degrees either way."""
    contrast, saturation = (round(float(random.uniform(alpha_min, alpha_max)), 6) for _ in range(2))
    hue = round(float(random.uniform(-abs(delta_max), abs(delta_max))), 6)
    bright = (scene.pixels.astype(np.float32) * np.float32(contrast / 255)).clip(0, 1)
    turned = cv2.cvtColor(bright, cv2.COLOR_RGB2HSV)
    turned[..., 0] = (turned[..., 0] + hue) % 360
    turned[..., 1] = (turned[..., 1] * saturation).clip(0, 1)
    pixels = _whole(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB) * 255)
    applied = Applied(
        augmentation_type="PHOTO_DISTORT", alpha_contrast=contrast, alpha_saturation=saturation, delta_hue=hue
    )
    return Changed(Scene(pixels, scene.shapes), applied)


def occlusion(scene: Scene, fraction: float, mode: str, radar: bool, window: int, random: Generator) -> Changed:
    """A rectangle of this part of each box covered, anywhere within it; without boxes, of a window in the middle.

    Boxes of which less than a fifth is left to be seen are dropped.
    """
    pixels = scene.pixels.copy()
    boxes = [shape for shape in scene.shapes if isinstance(shape, Box)]
    width, height = scene.size
    places = [(box.left, box.top, box.width, box.height) for box in boxes] or [
        ((width - window) / 2, (height - window) / 2, window, window)
    ]
    around = _around(scene, places)
    for left, top, across, down in places:
        side = math.sqrt(fraction)
        inner = across * side, down * side
        x, y = left + random.random() * (across - inner[0]), top + random.random() * (down - inner[1])
        rows = slice(*(min(max(round(value), 0), height) for value in (y, y + inner[1])))
        columns = slice(*(min(max(round(value), 0), width) for value in (x, x + inner[0])))
        hidden = pixels[rows, columns]
        if mode == "ZERO":
            hidden[:] = 0
        elif radar:
            hidden[:] = around[random.integers(0, len(around), hidden.shape[:2])]
        else:
            hidden[:] = np.median(around, axis=0).astype(np.uint8)
    gone = bool(boxes) and 1 - fraction < LEAST_LEFT
    kept: tuple[Shape, ...] = tuple(one for one in scene.shapes if not (gone and isinstance(one, Box)))
    applied = Applied(
        augmentation_type="OCCLUSION", occ_area_fraction=fraction, mode=mode, target_window_size=window,
        extra_params={"covered": len(places)},
    )  # fmt: skip
    return Changed(Scene(pixels, kept), applied, len(scene.shapes) - len(kept))


def _around(scene: Scene, places: list[tuple[float, float, float, float]]) -> Pixels:
    """The pixels (n, 3) outside of all places; all of them where nothing is outside."""
    outside = np.ones(scene.pixels.shape[:2], dtype=bool)
    for left, top, across, down in places:
        outside[max(math.floor(top), 0) : max(math.ceil(top + down), 0),
                max(math.floor(left), 0) : max(math.ceil(left + across), 0)] = False  # fmt: skip
    return scene.pixels[outside] if outside.any() else scene.pixels.reshape(-1, scene.pixels.shape[2])


def _whole(values: Any) -> Pixels:
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)
