"""Manifests and requests: round trips, old and new fields, and messages that name the place."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio9_task.errors import ManifestError, RequestError
from studio9_task.layout import TaskFolder
from studio9_task.pictures import PictureRecord, read_manifest, write_manifest
from studio9_task.request import TaskRequest, read_request
from studio9_task.schemas import json_schemas
from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag, Track

number = st.floats(-10_000, 10_000)
side = st.floats(0.01, 10_000)
label = st.text(min_size=1, max_size=20)
boxes = st.builds(Box, label=label, left=number, top=number, width=side, height=side)
shapes: st.SearchStrategy[Shape] = st.one_of(
    boxes,
    st.builds(Tag, label=label),
    st.builds(
        RotatedBox,
        label=label,
        centre_x=number,
        centre_y=number,
        width=side,
        height=side,
        angle=st.floats(-360, 360),
    ),
    st.builds(Polygon, label=label, points=st.lists(st.tuples(number, number), min_size=3, max_size=5).map(tuple)),
    st.builds(
        Mask,
        label=label,
        left=st.just(1),
        top=st.just(2),
        width=st.just(3),
        height=st.just(1),
        counts=st.just((1, 2)),
    ),
    st.builds(
        Keypoints,
        label=label,
        points=st.tuples(st.builds(Keypoint, name=label, x=number, y=number)),
        box=boxes,
    ),
    st.builds(Track, label=label, track=st.just("t"), boxes=st.tuples(st.tuples(st.integers(0, 9), boxes))),
)


def picture(**changes: object) -> PictureRecord:
    fields: dict[str, object] = {
        "picture_id": "p1", "version": "a" * 64, "sha256": "a" * 64, "key": "o/pictures/a",
        "filename": "Ä/ü.png", "size": 3, "width": 10, "height": 20,
    }  # fmt: skip
    return PictureRecord.model_validate(fields | changes)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(annotations=st.lists(shapes, max_size=4))
def test_a_manifest_comes_back(tmp_path: Path, annotations: list[Shape]) -> None:
    path = tmp_path / "manifest.jsonl"
    before = [picture(annotations=tuple(annotations)), picture(picture_id="p2", split="test", group="g")]
    written, count = write_manifest(path, before)
    assert list(read_manifest(path)) == before
    assert (written.size, count) == (path.stat().st_size, 2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [picture()])
    bad = json.loads(path.read_text()) | {"width": 0}
    with path.open("a") as file:
        file.write("\n" + json.dumps(bad) + "\n")
    with pytest.raises(ManifestError, match=r"manifest.jsonl, line 3: width = 0"):
        list(read_manifest(path))


def test_a_manifest_that_is_missing_or_too_long(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="stage it first"):
        list(read_manifest(tmp_path / "none"))
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b" " * (4 * 1024 * 1024 + 10))
    with pytest.raises(ManifestError, match="line 1: longer"):
        list(read_manifest(path))


def test_half_a_manifest_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"

    def broken() -> Iterator[PictureRecord]:
        yield picture()
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        write_manifest(path, broken())
    assert list(tmp_path.iterdir()) == []


def test_boxes_and_tags() -> None:
    box = Box(label="a", left=1, top=2, width=3, height=4)
    record = picture(annotations=(box, Tag(label="b")))
    assert record.boxes == (box,)
    assert [tag.label for tag in record.tags] == ["b"]
    assert box.corners == (1, 2, 4, 6)


def test_a_request_comes_back_and_ignores_what_it_does_not_know(folder: TaskFolder) -> None:
    request = TaskRequest(job="j", kind="train", framework="yolo", seed=3, threads=2, inputs=("train", "test"))
    folder.request.write_text(json.dumps(json.loads(request.model_dump_json()) | {"schema": 2, "new": 1}))
    read = read_request(folder.request)
    assert read.schema_version == 2
    assert read.model_copy(update={"schema_version": 1}) == request


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"threads": 0}, "threads = 0"),
        ({"inputs": ["../x"]}, "inputs.0"),
        ({"kind": "Train!"}, "kind"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_bad_request_names_its_field(folder: TaskFolder, change: dict[str, object], named: str) -> None:
    good = {"job": "j", "kind": "train", "framework": "yolo"}
    folder.request.write_text(json.dumps(good | change))
    with pytest.raises(RequestError, match=named):
        read_request(folder.request)


def test_every_part_has_a_schema() -> None:
    schemas = json_schemas()
    assert {"request", "event", "picture", "result", "catalogue", "exit"} <= set(schemas)
    assert json.loads(json.dumps(schemas)) == schemas
    # A catalogue is printed with places in `shared` where parameters belong.
    catalogue = schemas["catalogue"]
    assert catalogue["properties"]["shared"]["type"] == "array"
    for part in ("Architecture", "Head", "TaskKind"):
        kinds = catalogue["$defs"][part]["properties"]["parameters"]["items"]["anyOf"]
        assert kinds[1]["type"] == "integer" and kinds[0] == catalogue["properties"]["shared"]["items"]
