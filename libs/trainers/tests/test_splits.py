"""Nothing leaks from one side of a split to the other; what is odd is told before the first epoch."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.shapes import Box
from studio9_task.tiles import TileSpec
from studio9_trainers.augmentation.training import bloat
from studio9_trainers.augmentation.usual import usual_steps
from studio9_trainers.data.dataset import Picture, PictureSet, read_pictures, shared, split_off
from studio9_trainers.data.findings import Finding, raise_errors
from studio9_trainers.data.judging import judge
from studio9_trainers.data.leaks import leaks
from studio9_trainers.data.origins import origins, split_by_origin
from studio9_trainers.errors import BadInput
from studio9_trainers.tiling.files import write_tiles


def record(content: str, group: str | None = None, name: str = "", **more: Any) -> PictureRecord:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return PictureRecord(
        picture_id=name or digest[:8], version=digest, sha256=digest, key="k", filename=name, size=1, width=99,
        height=99, group=group, **more,
    )  # fmt: skip


def of(name: str, *records: PictureRecord) -> PictureSet:
    return PictureSet(name, tuple(Picture(one, Path("none"), one.boxes) for one in records))


def test_copies_tiles_and_frames_are_of_their_originals_origin() -> None:
    original = record("a")
    copy = record("b", group=original.sha256)
    copy_of_copy = record("c", group=original.sha256)
    doubled = record("b", group="another group")
    alone = record("d")
    names = origins([copy_of_copy, original, alone, copy, doubled])
    assert names[0] == names[1] == names[3] == names[4] != names[2]


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.integers(0, 8))), min_size=1, max_size=40),
    seed=st.integers(0, 99),
)
def test_no_origin_is_parted(made: list[tuple[int, int | None]], seed: int) -> None:
    records = [record(str(content), None if group is None else f"g{group}") for content, group in made]
    sides = split_by_origin(records, {"train": 0.6, "val": 0.2, "test": 0.2}, seed)
    for attribute in ("sha256", "group"):
        where: dict[str, set[str]] = {}
        for one, side in zip(records, sides, strict=True):
            if (key := getattr(one, attribute)) is not None:
                where.setdefault(key, set()).add(side)
        assert all(len(found) == 1 for found in where.values())
    turned = split_by_origin(records[::-1], {"train": 0.6, "val": 0.2, "test": 0.2}, seed)
    assert turned[::-1] == sides


def test_parts_are_as_large_as_asked() -> None:
    sides = split_by_origin([record(str(number)) for number in range(100)], {"train": 7, "val": 2, "test": 1})
    assert [sides.count(side) for side in ("train", "val", "test")] == [70, 20, 10]


def test_augmented_copies_never_validate_their_originals(job: Any, tmp_path: Path) -> None:
    pictures = read_pictures(job("train", train=range(8)), "train")
    larger, _ = bloat(pictures, usual_steps(pictures.labels)[:3], 3, 0, tmp_path)
    train, val = split_off(larger, 0.25)
    assert len(val) > 0
    assert shared(train, val) == 0
    assert leaks([train, val], looks=False) == []


def test_overlap_by_content_or_group_is_an_error_that_names_pictures() -> None:
    train = of("train", record("a", name="a.png"), record("b", group="video 1", name="b.png"))
    for other in (record("a", name="again.png"), record("z", group="video 1", name="again.png")):
        (finding,) = leaks([train, of("test", other, record("y"))])
        assert (finding.level, finding.code) == ("error", "overlap")
        with pytest.raises(BadInput, match=r"test: 1 of the 2 pictures are in train too.*\(again.png\)"):
            raise_errors([finding])
    assert leaks([train, of("test", record("y"))]) == []


def test_an_empty_tile_that_many_originals_have_links_none_of_them(tmp_path: Path) -> None:
    """Each of twelve photographs has a tile of the sea, and one with nothing on it."""
    pictures = []
    for number in range(12):
        for name, pixels in (
            ("sea", np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)),
            ("empty", np.full((8, 8, 3), 255, np.uint8)),
        ):
            path = tmp_path / f"{number}-{name}.png"
            Image.fromarray(pixels).save(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            made = record(digest, group=f"photo {number}", name=path.name).model_copy(update={"sha256": digest})
            pictures.append(Picture(made, path, ()))
    tiles = PictureSet("train", tuple(pictures))
    train, val = split_off(tiles, 0.25)
    sides = [{one.record.group for one in half.pictures if "sea" in one.path.name} for half in (train, val)]
    assert len(sides[0]) + len(sides[1]) == 12 and len(val) < len(tiles)
    assert shared(train, val) == 0 and leaks([train, val]) == []
    blank = next(one for one in judge(tiles) if one.code == "blank")
    assert str(blank) == (
        "train: 11 pictures of one colour, without a label, repeat others: leave them: they count as pictures that "
        "show nothing."
    )
    assert "duplicate" not in {one.code for one in judge(tiles)}
    one, other = PictureSet("train", tuple(pictures[:4])), PictureSet("test", tuple(pictures[4:8]))
    (finding,) = leaks([one, other])
    assert (finding.level, finding.code) == ("error", "overlap")
    assert str(finding) == (
        "test: 2 of the 4 pictures are of one colour, have no label and are in train too: take them out of one of the "
        "two, or of both: there is nothing in them (2-empty.png, 3-empty.png)."
    )
    labelled = [
        Picture(one.record.model_copy(update={"annotations": (Box(label="x", left=0, top=0, width=4, height=4),)}),
                one.path, ())
        for one in pictures
    ]  # fmt: skip
    (finding,) = leaks([PictureSet("train", tuple(labelled[:4])), PictureSet("test", tuple(labelled[4:8]))])
    assert "4 of the 4 pictures are in train too" in str(finding), "what is labelled is no empty tile"


def test_tiles_are_of_their_originals_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    original = PictureRecord(
        picture_id="a", version=digest, sha256=digest, key="k", filename="a.png", size=1, width=90, height=90
    )
    tiled = write_tiles(iter([(original, path)]), TileSpec(size=64, overlap=8), tmp_path / "tiles")
    assert len(set(origins([original, *read_manifest(tiled.manifest.path)]))) == 1


def test_pictures_that_look_alike_are_a_warning(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scenes = [
        np.kron(random.integers(0, 256, (9, 12)), np.ones((20, 20))).clip(0, 255).astype(np.uint8) for _ in range(6)
    ]

    def saved(pixels: Any, name: str) -> Picture:
        path = tmp_path / name
        Image.fromarray(pixels).save(path)
        return Picture(record(name, name=name), path, ())

    train = PictureSet("train", tuple(saved(one, f"{at}.png") for at, one in enumerate(scenes[:4])))
    other = saved(scenes[5], "other.png")
    again = saved(scenes[1], "again.jpg")  # other bytes, the same scene
    darker = saved((scenes[2] * 0.8).astype(np.uint8), "darker.png")
    flat = saved(np.full((40, 40), 90, dtype=np.uint8), "flat.png")
    (finding,) = leaks([train, PictureSet("test", (other, again, darker, flat))])
    assert (finding.level, finding.code) == ("warning", "similar")
    assert "again.jpg, darker.png" in str(finding)
    assert leaks([train, PictureSet("test", (other, flat))]) == []


def boxed(content: str, *labels: str, side: float = 9) -> PictureRecord:
    shapes = tuple(Box(label=label, left=0, top=0, width=side, height=9) for label in labels)
    return record(content, name=f"{content}.png", annotations=shapes)


def found(findings: list[Finding]) -> dict[str, str]:
    return {finding.code: f"{finding.level} {finding}" for finding in findings}


def test_what_is_odd_is_told() -> None:
    told = found(judge(of("train", boxed("a", *["ship"] * 9), boxed("a", "ship"), boxed("b")), ["ship", "buoy"]))
    assert told == {
        "duplicate": "warning train, line 2: a.png is the picture of line 1, with other labels: "
        "keep the one with the right labels.",
        "no_boxes": "warning train: the label 'buoy' has no boxes: label some, or leave the label out.",
        "unlabelled": "note train: 1 of the 3 pictures have no label: "
        "label them, or leave them as pictures that show nothing.",
    }
    told = found(judge(of("train", boxed("a", "ship", side=1))))
    assert set(told) == {"one_picture", "one_label", "few_boxes", "tiny_boxes"}
    assert told["few_boxes"].startswith("note train: the label 'ship' has 1 box:")
    assert judge(of("train", boxed("a", *"pq" * 9), boxed("b", "p"))) == []
