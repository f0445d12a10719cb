"""The digits' pages: tight boxes, scans of each split's own, the same pixels each time."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio9_cli.demo.digits import SHARES, build_pages, scans


def test_boxes_are_inside_tight_and_apart(tmp_path: Path) -> None:
    pages = build_pages(tmp_path, 6, split="train")
    assert [page.filename for page in pages] == [f"train-{number:03d}.png" for number in range(6)]
    for page in pages:
        pixels = np.asarray(Image.open(page.path), dtype=float)
        assert pixels.shape == (192, 192)
        paper = np.median(pixels)
        taken = np.zeros_like(pixels, dtype=bool)
        for box in page.boxes:
            right, bottom = box.left + box.width, box.top + box.height
            assert 0 <= box.left < right <= 192
            assert 0 <= box.top < bottom <= 192
            assert not taken[box.top : bottom, box.left : right].any()
            taken[box.top : bottom, box.left : right] = True
            inside = pixels[box.top : bottom, box.left : right] < paper - 20
            # Ink on each of the four sides, and hardly any just outside of them.
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        assert (pixels[~taken] < paper - 60).mean() < 0.01


def test_pages_have_about_eleven_digits_of_all_labels(tmp_path: Path) -> None:
    pages = build_pages(tmp_path, 40, split="test")
    counts = [len(page.boxes) for page in pages]
    assert 10 <= np.mean(counts) <= 12
    assert {box.label for page in pages for box in page.boxes} == {str(number) for number in range(10)}


def test_splits_share_no_scan() -> None:
    assert sum(SHARES.values()) == 1797
    seen = [{scan.tobytes() for scan in scans(split)[0]} for split in SHARES]
    for one, other in pairwise(seen):
        assert not one & other
    assert not seen[0] & (seen[1] | seen[2] | seen[3])


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = build_pages(tmp_path / "a", 2, seed=5, split="online")
    again = build_pages(tmp_path / "b", 3, seed=5, split="online")
    other = build_pages(tmp_path / "c", 2, seed=6, split="online")
    assert [page.path.read_bytes() for page in first] == [page.path.read_bytes() for page in again[:2]]
    assert [page.boxes for page in first] == [page.boxes for page in again[:2]]
    assert first[0].path.read_bytes() != other[0].path.read_bytes()


def test_too_small_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 96"):
        build_pages(tmp_path, 1, size=64)
