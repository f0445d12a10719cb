"""Other tools' files: what is written comes back, and what is wrong is named with file, line or field."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as pycocotools_mask

from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.collection import Collection, Sample, sample_of
from studio9_trainers.data.compressed import uncompressed
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.coco import read_coco
from studio9_trainers.data.formats.coco_writing import write_coco
from studio9_trainers.data.formats.folders import read_folders, write_folders
from studio9_trainers.data.formats.salsa import read_salsa, write_salsa
from studio9_trainers.data.formats.voc import read_voc, write_voc
from studio9_trainers.data.formats.yolo import read_yolo, write_yolo
from studio9_trainers.data.masks import mask_of, run_lengths
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.errors import BadInput

LABELS = ("ship", "Boje ü", "a/b", "7", '  odd, "quoted" ')
WIDTH, HEIGHT = 40, 30

label = st.sampled_from(LABELS)
place = st.floats(0, 25, allow_nan=False, width=32)
extent = st.floats(0.5, 14, allow_nan=False, width=32)


@st.composite
def boxes(draw: st.DrawFn, ignore: bool = False) -> Box:
    flag = draw(st.booleans()) if ignore else False
    return Box(
        label=draw(label), left=draw(place), top=draw(place) / 2, width=draw(extent), height=draw(extent), ignore=flag
    )


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    points = draw(st.lists(st.tuples(place, place), min_size=3, max_size=7))
    return Polygon(label=draw(label), points=tuple(points))


@st.composite
def turned(draw: st.DrawFn) -> RotatedBox:
    return RotatedBox(
        label=draw(label), centre_x=draw(place), centre_y=draw(place), width=draw(extent), height=draw(extent),
        angle=draw(st.floats(-90, 90)),
    )  # fmt: skip


@st.composite
def poses(draw: st.DrawFn) -> Keypoints:
    points = tuple(
        Keypoint(name=name, x=draw(place), y=draw(place), visibility=draw(st.sampled_from((1, 2))))
        for name in ("nose", "left_eye", "right_eye")
    )
    box = draw(boxes())
    return Keypoints(label=box.label, points=points, box=box)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    pixels = np.random.default_rng(draw(st.integers(0, 99))).random((HEIGHT, WIDTH)) < 0.1
    pixels[5, 5] = True
    made = mask_of(pixels, Mask(label=draw(label), left=0, top=0, width=1, height=1, counts=(1,)))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number in range(3):
        path = folder / f"{number}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(path)
        paths.append(path)
    return paths


def collected(files: list[Path], each: Sequence[Sequence[Shape]], splits: Any = ("train", "val", "test")) -> Collection:
    samples = [
        sample_of(path, f"picture {path.stem}.png", shapes, split)
        for path, shapes, split in zip(files, each, splits, strict=True)
    ]
    return Collection(tuple(samples), ClassMap.of(LABELS))


def comes_back(
    before: Collection, write: Callable[..., Any], read: Callable[[Path], Collection], exact: bool = False
) -> Collection:
    with tempfile.TemporaryDirectory() as name:
        write(before, Path(name))
        after = read(Path(name))
    assert after.findings == ()
    by_hash: dict[str, Sample] = {sample.record.sha256: sample for sample in after.samples}
    assert len(by_hash) == len(before.samples)
    for sample in before.samples:
        one, other = sample.record, by_hash[sample.record.sha256].record
        assert (one.width, one.height, one.orientation) == (other.width, other.height, other.orientation)
        assert len(one.annotations) == len(other.annotations)
        for shape, again in zip(one.annotations, other.annotations, strict=True):
            if exact:
                assert shape == again
            else:
                assert type(shape) is type(again)
                assert shape.label == again.label
                assert numbers(again) == pytest.approx(numbers(shape), abs=1e-5)
    return after


def numbers(shape: Shape) -> list[float]:
    match shape:
        case RotatedBox():
            return sorted(float(value) for value in rotated_corners(shape).ravel())
        case Polygon():
            return [value for point in shape.points for value in point]
        case Keypoints():
            box = [] if shape.box is None else list(shape.box.corners)
            return box + [value for point in shape.points for value in (point.x, point.y, point.visibility)]
        case Box():
            return [*shape.corners, shape.ignore]
        case _:
            return []


three = lambda one: st.tuples(*[st.lists(one, max_size=3)] * 3)  # noqa: E731
quick = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(each=three(st.one_of(boxes(ignore=True), polygons(), turned(), poses(), masks())))
def test_coco_keeps_every_shape(files: list[Path], each: Any) -> None:
    after = comes_back(
        collected(files, each), write_coco, lambda root: read_coco(root / "annotations.json"), exact=True
    )
    assert [sample.record.split for sample in after.samples] == ["train", "val", "test"]
    assert after.classes == ClassMap.of(LABELS)


@quick
@given(data=st.data(), task=st.sampled_from(("detect", "segment", "obb", "pose")))
def test_yolo(files: list[Path], data: st.DataObject, task: Any) -> None:
    shape = {"detect": boxes(), "segment": polygons(), "obb": turned(), "pose": poses()}[task]
    before = collected(files, data.draw(three(shape)))
    after = comes_back(before, lambda one, root: write_yolo(one, root, task), read_yolo)
    assert after.classes == before.classes
    assert sorted(sample.record.split for sample in after.samples) == ["test", "train", "val"]


@quick
@given(each=three(boxes(ignore=True).filter(lambda box: box.label == box.label.strip())))
def test_voc(files: list[Path], each: Any) -> None:
    after = comes_back(collected(files, each), write_voc, read_voc)
    assert sorted(sample.record.split for sample in after.samples) == ["test", "train", "val"]


@quick
@given(each=three(boxes()))
def test_salsas_csv_with_boxes(files: list[Path], each: Any) -> None:
    comes_back(collected(files, each), write_salsa, lambda root: read_salsa(root / "labels.csv"))


@quick
@given(labels=st.tuples(*[st.one_of(st.none(), label.filter(lambda one: "/" not in one))] * 3))
def test_tags_as_csv_and_as_folders(files: list[Path], labels: tuple[str | None, ...]) -> None:
    each = [() if one is None else (Tag(label=one),) for one in labels]
    comes_back(collected(files, each), write_salsa, lambda root: read_salsa(root / "labels.csv"), exact=True)
    comes_back(collected(files, each), write_folders, read_folders, exact=True)
    comes_back(collected(files, each, ("none",) * 3), write_folders, read_folders, exact=True)


def test_what_a_format_cannot_hold_is_told(files: list[Path], tmp_path: Path) -> None:
    outline = Polygon(label="ship", points=((0, 0), (9, 0), (9, 9)))
    box = Box(label="ship", left=1, top=1, width=3, height=3, ignore=True)
    collection = collected(files, [(outline, box), (), (Tag(label="7"),)])
    for write in (write_yolo, write_voc, write_salsa, write_coco):
        notes: tuple[Finding, ...] = write(collection, tmp_path / write.__name__)
        assert {note.level for note in notes} == {"note"}
        assert "picture 2.png" in " ".join(map(str, notes)) or write is write_salsa
    with pytest.raises(BadInput, match="can't name a folder"):
        write_folders(collected(files, [(Tag(label="a/b"),), (), ()]), tmp_path / "folders")


def test_compressed_run_lengths_are_pycocotools() -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        pixels = random.random((int(random.integers(1, 60)), int(random.integers(1, 60)))) < random.random()
        theirs = pycocotools_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        assert uncompressed(theirs["counts"].decode()) == run_lengths(pixels)
    for broken in ("é", "P", "a b"):
        with pytest.raises(BadInput):
            uncompressed(broken)


def told(collection: Collection) -> list[str]:
    assert all(finding.level == "error" for finding in collection.findings)
    return [str(finding) for finding in collection.findings]


def test_wrong_lines_of_yolo_are_named(files: list[Path], tmp_path: Path) -> None:
    write_yolo(collected(files, [(), (), ()]), tmp_path)
    labels = tmp_path / "labels" / "train" / "picture 0.txt"
    labels.write_text("0 .5 .5 .1 .1\n99 .5 .5 .1 .1\n0 .5 .5 0 .1\n0 nan .5 .1 .1\n0 x\n\n0 .1 .2 .3 .4 .5\n")
    (tmp_path / "images" / "val" / "picture 1.png").write_bytes(b"no picture")
    collection = read_yolo(tmp_path)
    lines = told(collection)
    for number, words in ((2, "class 99"), (3, "no area"), (4, "not finite"), (5, "no number"), (7, "5 coordinates")):
        assert any(f"labels/train/picture 0.txt, line {number}: " in line and words in line for line in lines)
    assert any("picture 1.png" in line and "can't be decoded" in line for line in lines)
    assert [len(sample.record.annotations) for sample in collection.samples] == [0, 1]
    (tmp_path / "data.yaml").write_text("names: 5")
    with pytest.raises(BadInput, match=r"data\.yaml, names"):
        read_yolo(tmp_path)
    with pytest.raises(BadInput, match="can't be read"):
        read_yolo(tmp_path / "images")


def test_wrong_entries_of_coco_are_named(files: list[Path], tmp_path: Path) -> None:
    write_coco(collected(files, [(), (), ()]), tmp_path)
    path = tmp_path / "annotations.json"
    whole = json.loads(path.read_text())
    whole["images"][0]["file_name"] = "../secret.png"
    whole["images"][1]["width"] = 7
    whole["images"].append({"id": 9, "file_name": "gone.png"})
    good = {"image_id": 2, "category_id": 0, "bbox": [0, 0, 4, 4]}
    whole["annotations"] = [
        good, good | {"image_id": 77}, good | {"category_id": 77}, good | {"bbox": [0, 0, 0, 4]}, {"image_id": 2},
        good | {"segmentation": [[1, 2]]}, good | {"segmentation": {"size": [3, 3], "counts": [4]}},
        good | {"keypoints": [1, 2]}, good | {"bbox": "wide"},
    ]  # fmt: skip
    path.write_text(json.dumps(whole))
    collection = read_coco(path)
    lines = " ".join(told(collection))
    for at in range(1, 9):
        assert f"annotations[{at}]" in lines
    assert "annotations[0]" not in lines
    for words in ("leaves the folder", "images[1].width: 7 x 30 is told", "gone.png: the picture is missing"):
        assert words in lines
    for broken in ("[]", "{", '{"images": 1}'):
        path.write_text(broken)
        with pytest.raises(BadInput, match="COCO"):
            read_coco(path)


def test_wrong_rows_and_elements_are_named(files: list[Path], tmp_path: Path) -> None:
    collection = collected(files, [(Box(label="ship", left=1, top=1, width=3, height=3),), (), ()])
    write_salsa(collection, tmp_path)
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("picture 1.png,ship,1,2,x,4\npicture 1.png,ship,5,2,5,4\n../up.png,ship\nnone.png,ship\n,ship\n")
    lines = told(read_salsa(tmp_path / "labels.csv"))
    for words in (
        "line 5, x-max: 'x' is no number",
        "line 6: a box",
        "'../up.png' leaves",
        "none.png: the picture is missing",
        "line 9: the file name",
    ):
        assert any(words in line for line in lines), words
    write_voc(collection, tmp_path / "voc")
    xml = tmp_path / "voc" / "Annotations" / "picture 0.xml"
    xml.write_text(xml.read_text().replace("<xmax>4</xmax>", "<xmax>none</xmax>"))
    (tmp_path / "voc" / "Annotations" / "picture 1.xml").write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>")
    lines = told(read_voc(tmp_path / "voc"))
    assert any("Annotations/picture 0.xml, object[0]: bndbox/xmax is 'none'" in line for line in lines)
    assert any("picture 1.xml: it declares entities" in line for line in lines)


def test_numbers_of_classes_stay() -> None:
    classes = ClassMap({3: "ship", 7: "buoy"})
    larger = classes.with_labels(["anchor", "ship"])
    assert larger.labels == {3: "ship", 7: "buoy", 8: "anchor"}
    assert ClassMap.parse(larger.dumps()) == larger
    classes.check_fits(larger)
    with pytest.raises(BadInput, match="does not know anchor"):
        larger.check_fits(classes)
    with pytest.raises(BadInput, match="another number"):
        ClassMap({0: "ship"}).check_fits(classes)
    with pytest.raises(BadInput, match="more than once"):
        ClassMap({0: "ship", 1: "ship"})
    with pytest.raises(BadInput, match="no map"):
        ClassMap.parse("[]")
