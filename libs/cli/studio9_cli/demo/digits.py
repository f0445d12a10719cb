"""Pages of real scanned digits with their true boxes, made from a set that ships inside scikit-learn.

The 1,797 scans of `sklearn.datasets.load_digits` are 8 by 8 pixels with 17 levels of ink (UCI's "Optical
Recognition of Handwritten Digits", test part). Every split has scans of its own, so a digit of a test page
was never seen in training.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

Split = Literal["train", "test", "predict", "online"]
SHARES: dict[Split, int] = {"train": 1200, "test": 300, "predict": 200, "online": 97}
"""Scans of each split."""

CELLS = 4
"""Cells of a page along each side; a cell holds at most one digit."""
FILLED = (8, 14)
"""Fewest and most digits of a page; 11 on average."""
INK = 0.2
"""A pixel with more of the darkest ink than this belongs to its digit."""

Pixels = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class DigitBox:
    """The pixels of one digit: left <= x < left + width, top <= y < top + height."""

    label: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Page:
    """One page as it lies on the disk, with what is on it."""

    filename: str
    path: Path
    boxes: tuple[DigitBox, ...]


def build_pages(folder: Path, pages: int, size: int = 192, seed: int = 0, split: Split = "train") -> list[Page]:
    """Write so many pages of `size` by `size` pixels (at least 96) into `folder` as PNG files.

    The same seed, split and page number give the same pixels, however many pages are asked for.
    """
    if size < 96:
        raise ValueError(f"size = {size}: digits need pages of at least 96 pixels")
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(pages):
        random = np.random.default_rng([seed, list(SHARES).index(split), number])
        pixels, boxes = _page(random, split, size)
        path = folder / f"{split}-{number:03d}.png"
        Image.fromarray(pixels).save(path)
        made.append(Page(path.name, path, boxes))
    return made


@cache
def scans(split: Split) -> tuple[Pixels, tuple[str, ...]]:
    """The split's own scans (ink from 0 to 1) and their labels."""
    data = load_digits()
    order = np.random.default_rng(9).permutation(len(data.target))
    begin = 0
    for name, share in SHARES.items():
        if name == split:
            break
        begin += share
    chosen = order[begin : begin + SHARES[split]]
    return data.images[chosen] / 16.0, tuple(str(label) for label in data.target[chosen])


def _page(random: np.random.Generator, split: Split, size: int) -> tuple[Any, tuple[DigitBox, ...]]:
    images, labels = scans(split)
    paper = random.uniform(190, 245)
    page = paper + random.normal(0, 6, (size, size))
    cell = size // CELLS
    boxes = []
    for place in sorted(random.permutation(CELLS * CELLS)[: random.integers(FILLED[0], FILLED[1] + 1)]):
        scan = int(random.integers(len(images)))
        side = int(random.integers(cell * 3 // 5, cell + 1))
        left = int(place % CELLS * cell + random.integers(0, cell - side + 1))
        top = int(place // CELLS * cell + random.integers(0, cell - side + 1))
        ink = _enlarged(images[scan], side)
        darkness = paper - random.uniform(10, 70)
        page[top : top + side, left : left + side] -= ink * darkness
        rows, columns = np.nonzero(ink > INK)
        boxes.append(
            DigitBox(
                label=labels[scan],
                left=left + int(columns.min()),
                top=top + int(rows.min()),
                width=int(columns.max() - columns.min()) + 1,
                height=int(rows.max() - rows.min()) + 1,
            )
        )
    return page.clip(0, 255).astype(np.uint8), tuple(boxes)


def _enlarged(scan: Pixels, side: int) -> Pixels:
    image = Image.fromarray(scan.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64).clip(0, 1)
