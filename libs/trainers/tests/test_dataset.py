"""Pictures are judged before anything is computed, and parts of them never move from side to side."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from studio9_task.layout import TaskFolder
from studio9_task.pictures import PictureRecord, read_manifest, write_manifest
from studio9_task.shapes import Box
from studio9_trainers.data.dataset import Picture, PictureSet, not_parted, read_pictures, shared, split_off
from studio9_trainers.errors import BadInput

Job = Callable[..., TaskFolder]


def changed(folder: TaskFolder, change: Callable[[PictureRecord], PictureRecord]) -> None:
    """Change the second line of the training manifest."""
    records = list(read_manifest(folder.manifest("train")))
    records[1] = change(records[1])
    write_manifest(folder.manifest("train"), records)


def test_good_pictures(job: Job) -> None:
    pictures = read_pictures(job("train", train=range(4)), "train")
    assert (len(pictures), pictures.boxes, pictures.labels) == (4, 12, ("disc", "square"))


def box(**corners: float) -> Callable[[PictureRecord], PictureRecord]:
    full = {"left": 1.0, "top": 1.0, "width": 5.0, "height": 5.0} | corners
    return lambda record: record.model_copy(update={"annotations": (Box(label="x", **full),)})


@pytest.mark.parametrize("change", [box(left=-3), box(top=95, height=4), box(left=200)])
def test_a_box_outside_its_picture_is_named(job: Job, change: Callable[[PictureRecord], PictureRecord]) -> None:
    folder = job("train", train=range(3))
    changed(folder, change)
    with pytest.raises(
        BadInput, match=r"train, line 2 \(page-1.png\): the box of 'x' .* leaves the picture of 96 x 96"
    ):
        read_pictures(folder, "train")


def test_a_box_that_leaves_by_less_than_a_pixel_is_cut(job: Job) -> None:
    folder = job("train", train=range(2))
    changed(folder, box(left=90.0, width=6.5))
    (cut,) = read_pictures(folder, "train").pictures[1].boxes
    assert cut.corners == (90, 1, 96, 6)


def test_pictures_that_are_missing_broken_or_of_another_size_are_all_named(job: Job, tmp_path: Path) -> None:
    folder = job("train", train=range(4))
    records = list(read_manifest(folder.manifest("train")))
    folder.picture(records[0].sha256).unlink()
    folder.picture(records[1].sha256).write_bytes(b"no picture")
    Image.new("RGB", (10, 20)).save(folder.picture(records[2].sha256), "PNG")
    with pytest.raises(BadInput) as error:
        read_pictures(folder, "train")
    for words in ("line 1", "missing", "line 2", "can't be decoded", "line 3", "10 x 20"):
        assert words in str(error.value)


def test_an_empty_manifest_and_none(job: Job) -> None:
    folder = job("train", train=())
    with pytest.raises(BadInput, match="no pictures"):
        read_pictures(folder, "train")
    with pytest.raises(BadInput, match="stage it first"):
        read_pictures(folder, "test")


def pictures(count: int, group: Callable[[int], str | None] = lambda _: None, val: int = 0) -> PictureSet:
    made = []
    for number in range(count):
        digest = f"{number:064x}"
        record = PictureRecord(
            picture_id=str(number), version=digest, sha256=digest, key="k", filename="f", size=1, width=9, height=9,
            group=group(number), split="val" if number < val else "train",
        )  # fmt: skip
        made.append(Picture(record, Path("none"), ()))
    return PictureSet("train", tuple(made))


def test_the_split_is_stable() -> None:
    train, val = split_off(pictures(100), 0.1)
    assert (len(train), len(val)) == (90, 10)
    assert split_off(pictures(100), 0.1) == (train, val)
    assert not shared(train, val)


def test_groups_fall_on_one_side() -> None:
    train, val = split_off(pictures(60, lambda number: f"g{number // 6}"), 0.2)
    assert (len(train), len(val)) == (48, 12)
    assert shared(train, val) == 0


def test_the_manifests_own_split_counts() -> None:
    train, val = split_off(pictures(10, val=3), 0.5)
    assert (len(train), len(val)) == (7, 3)


@pytest.mark.parametrize(
    ("few", "why"), [(pictures(4), "4 pictures are too few"), (pictures(9, lambda _: "one"), "all of one origin")]
)
def test_too_few_to_part_validate_themselves(few: PictureSet, why: str) -> None:
    assert why in not_parted(few) and "`val`" in not_parted(few)
    train, val = split_off(few, 0.1)
    assert len(train) == len(val) == len(few)
