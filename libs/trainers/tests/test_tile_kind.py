"""The kind `tile`: a real photo and its labels, as announced tiles that go back to where they came from."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from studio9_task.catalogue import Catalogue
from studio9_task.events import Artifact, Failed
from studio9_task.exits import task_state
from studio9_task.launch import launch
from studio9_task.layout import TaskFolder
from studio9_task.lines import read_lines
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.results import RESULT, TileResult
from studio9_task.shapes import Box
from studio9_task.shim_task import Limits
from studio9_task.tiles import TileRecord, TileSpec
from studio9_task.validate import validate_parameters
from studio9_trainers.data.dataset import Picture, PictureSet, read_pictures, split_off
from studio9_trainers.data.decode import decode
from studio9_trainers.data.leaks import leaks
from studio9_trainers.frameworks import catalogue
from studio9_trainers.task import run_task
from studio9_trainers.tiling.grid import Tile
from studio9_trainers.tiling.shapes import box_to_picture

PHOTOS = load_sample_images().images  # 427 x 640 pixels
SPEC = {"size": 256, "overlap": 64}


@pytest.fixture
def album(job: Any, stage: Any, tmp_path: Path) -> Callable[..., TaskFolder]:
    """A task's folder with the photos as PNG, each with two boxes: `album(tiles={...}, splits=("train", "test"))`."""

    def made(splits: tuple[Any, ...] = ("train", "test"), **parameters: Any) -> TaskFolder:
        folder: TaskFolder = job("tile")
        records = []
        for number, split in enumerate(splits):
            path = tmp_path / f"photo-{number}.png"
            Image.fromarray(PHOTOS[number % 2][: 427 - number]).save(path)
            boxes = [
                Box(label="roof", left=300, top=100, width=90, height=60),
                Box(label="far", left=2, top=3, width=20, height=20),
            ]
            record: PictureRecord = stage(folder, path, path.name, 640, 427 - number, boxes)
            records.append(record.model_copy(update={"split": split, "label_revision": f"r{number}"}))
        write_manifest(folder.manifest("pictures"), records)
        request = json.loads(folder.request.read_text())
        request |= {"framework": "studio9", "inputs": ["pictures"], "parameters": {"tiles": SPEC} | parameters}
        folder.request.write_text(json.dumps(request))
        return folder

    return made


@pytest.fixture(autouse=True)
def _signals_stay_pytests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio9_trainers.stop.StopFlag.listen", lambda self: None)


def result_of(folder: TaskFolder) -> tuple[TileResult, list[TileRecord]]:
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, TileResult)
    return result, list(read_lines(folder.outputs / "manifest.jsonl", TileRecord))


def originals(folder: TaskFolder) -> dict[str, PictureRecord]:
    return {one.picture_id: one for one in read_lines(folder.manifest("pictures"), PictureRecord)}


def test_under_the_shim_a_photo_becomes_tiles_that_can_be_put_back(album: Callable[..., TaskFolder], told: Any) -> None:
    folder = album(format="png")
    command = [sys.executable, "-m", "studio9_trainers.task", str(folder.root)]
    launch(folder, command, Limits(poll_s=0.05), {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while task_state(folder).state != "ended":
        assert time.monotonic() < deadline, "the task did not end"
        time.sleep(0.05)
    record = task_state(folder).record
    assert record is not None and record.exit_code == 0, folder.log.read_text()

    result, tiles = result_of(folder)
    assert (result.pictures, result.tiles, result.labels) == (2, 12, ("far", "roof")) and result.spec == TileSpec(
        **SPEC
    )
    assert len(tiles) == 12 and [(one.row, one.column) for one in tiles[:6]] == [
        (r, c) for r in (0, 1) for c in range(3)
    ]
    announced = {event.sha256 for event in told(folder) if isinstance(event, Artifact) and event.name == "picture"}
    assert announced == {one.sha256 for one in tiles}
    known = originals(folder)
    for number, name in enumerate(known):
        painted = np.zeros((known[name].height, known[name].width, 3), np.uint8)
        for one in (tile for tile in tiles if tile.source == name):
            pixels = decode(folder.outputs / one.key)
            assert pixels.shape == (one.height, one.width, 3) == (256, 256, 3)
            painted[one.top : one.bottom, one.left : one.right] = pixels
        assert (painted == PHOTOS[number % 2][: 427 - number]).all(), "each pixel where it was"


def test_labels_go_with_their_tiles_and_back(album: Callable[..., TaskFolder]) -> None:
    folder = album(tiles=SPEC | {"scale": 0.5, "size": 160, "overlap": 64})
    assert run_task(folder) == 0
    result, tiles = result_of(folder)
    assert result.boxes == sum(len(one.annotations) for one in tiles) > 0
    found = set()
    for one in tiles:
        place = Tile(one.row, one.column, one.left, one.top, one.right, one.bottom, one.scale_x, one.scale_y)
        for box in one.boxes:
            back = box_to_picture(box, place)
            true = next(other for other in originals(folder)[one.source].boxes if other.label == box.label)
            (left, top, right, bottom), whole = back.corners, true.corners
            assert left >= whole[0] - 1e-6 and top >= whole[1] - 1e-6
            assert right <= whole[2] + 1e-6 and bottom <= whole[3] + 1e-6
            if (right - left) * (bottom - top) == pytest.approx(true.width * true.height):
                found.add((one.source, box.label))
    assert len(found) == 4, "what is smaller than the overlap is whole in one tile"


def test_no_split_comes_between_tiles_of_one_picture(album: Callable[..., TaskFolder], tmp_path: Path) -> None:
    folder = album(splits=("none",) * 6)
    assert run_task(folder) == 0
    _, tiles = result_of(folder)
    known = originals(folder)
    assert len({one.group for one in tiles}) == 6
    assert all(one.label_revision == known[one.source].label_revision for one in tiles)
    assert all(one.source_sha256 == known[one.source].sha256 and one.split == known[one.source].split for one in tiles)
    second = TaskFolder(tmp_path / "second")
    second.make()
    for one in tiles:
        second.picture(one.sha256).write_bytes((folder.outputs / one.key).read_bytes())
    write_manifest(second.manifest("train"), tiles)
    train, val = split_off(read_pictures(second, "train"), 0.3)
    sources = [{one.record.group for one in half.pictures} for half in (train, val)]
    assert sources[0] and sources[1] and not sources[0] & sources[1]


def test_tiles_of_a_test_picture_stay_test_pictures(album: Callable[..., TaskFolder]) -> None:
    folder = album()
    assert run_task(folder) == 0
    _, tiles = result_of(folder)
    assert {(one.source, one.split) for one in tiles} == {("photo-0.png", "train"), ("photo-1.png", "test")}
    assert {one.filename.rpartition(".")[2] for one in tiles} == {"jpg"}


def test_of_several_splits_one_keeps_the_empty_tiles_they_have_in_common(
    album: Callable[..., TaskFolder], stage: Any, tmp_path: Path
) -> None:
    """Otherwise nobody could train on the tiles: a picture must not lie in two splits."""
    folder = album()
    records = []
    for split, boxes in (
        ("test", []), ("train", []), ("train", []), ("val", []),
        ("none", [Box(label="fog", left=1, top=1, width=200, height=200)]),
    ):  # fmt: skip
        path = tmp_path / f"white-{len(records)}.png"
        height = 256 + 256 * len(records)
        Image.new("RGB", (256, height), "white").save(path)
        record = stage(folder, path, path.name, 256, height, boxes)
        records.append(record.model_copy(update={"split": split}))
    write_manifest(folder.manifest("pictures"), [*records, *originals(folder).values()])
    parameters = json.loads(folder.request.read_text())
    parameters["parameters"] = {"tiles": {"size": 256, "overlap": 0}}
    folder.request.write_text(json.dumps(parameters))
    assert run_task(folder) == 0
    result, tiles = result_of(folder)
    white = [one for one in tiles if one.source.startswith("white")]
    assert [one.split for one in white] == ["train"] * 5 + ["none"] and white[-1].boxes
    assert (result.tiles, result.blanks_dropped) == (len(tiles), 1 + 4 + 4)
    sets = []
    for split in ("train", "test"):
        own = [one for one in tiles if one.split == split]
        sets.append(PictureSet(split, tuple(Picture(one, folder.outputs / one.key, one.boxes) for one in own)))
    assert all(len(one) for one in sets) and leaks(sets, looks=False) == []


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"tiles": {"size": 64, "overlap": 64}}, "overlap = 64: give less than the size"),
        ({"tiles": {"size": 8}}, "tiles.size"),
        ({"format": "gif"}, "format"),
        ({"quality": 0}, "quality"),
    ],
)
def test_what_cannot_be_cut_says_why(
    album: Callable[..., TaskFolder], told: Any, parameters: dict[str, Any], says: str
) -> None:
    folder = album(**parameters)
    assert run_task(folder) == 64
    failed = next(event for event in told(folder) if isinstance(event, Failed))
    assert failed.class_ == "user" and says in failed.message


def test_pictures_that_are_missing_broken_or_another_are_named(album: Callable[..., TaskFolder], told: Any) -> None:
    for change, says in (
        (lambda path: path.unlink(), "line 2 (photo-1.png): the picture's file is missing"),
        (lambda path: path.write_bytes(b"no picture"), "photo-1.png"),
        (lambda path: Image.new("RGB", (9, 9)).save(path, "PNG"), "640 x 426 pixels are recorded, the file has 9 x 9"),
    ):
        folder = album()
        change(folder.picture(list(originals(folder).values())[1].sha256))
        assert run_task(folder) == 64
        failed = next(event for event in told(folder) if isinstance(event, Failed))
        assert failed.class_ == "user" and says in failed.message


def test_the_catalogue_offers_it_with_its_parameters() -> None:
    read = Catalogue.model_validate_json(catalogue().printed())
    kinds = {one.kind: one for one in read.tasks if one.framework == "studio9"}
    assert not validate_parameters(kinds["tile"].parameters, {"size": 640, "overlap": 128, "padding": "shift"})
    (problem,) = validate_parameters(kinds["tile"].parameters, {"size": 7})
    assert problem.field == "size" and "from 32 to 8192" in problem.fix
    (problem,) = validate_parameters(kinds["tune"].parameters, {"trials": 0})
    assert problem.field == "trials" and "from 1 to 200" in problem.fix
