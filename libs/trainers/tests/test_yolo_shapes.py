"""YOLO's masks, keypoints and turned boxes, on bars that lie every way: learned from, resumed exactly, and told."""

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from studio9_task.exits import EXIT_OK
from studio9_task.layout import TaskFolder
from studio9_task.parameters import Thresholds
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.request import TaskRequest
from studio9_task.results import PredictedPicture
from studio9_task.shapes import Keypoint, Keypoints, Mask, Polygon, RotatedBox
from studio9_task.tiles import Sliced
from studio9_trainers.cli.choosing import chosen
from studio9_trainers.data.collection import Sample
from studio9_trainers.data.dataset import Mark, Picture, PictureSet
from studio9_trainers.data.marks import marked, point_names
from studio9_trainers.data.masks import mask_of, mask_pixels
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.detections import Detections
from studio9_trainers.errors import BadInput, CantExport, UserError
from studio9_trainers.evaluation.figures import judged
from studio9_trainers.export.card import Provenance
from studio9_trainers.export.exporting import Exporter
from studio9_trainers.files import ModelFile, copied, read_model
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.merging.sliced import sliced
from studio9_trainers.run import open_run
from studio9_trainers.state.training import read_state
from studio9_trainers.task import run_task
from studio9_trainers.trainer import get_trainer
from studio9_trainers.truth import check_learnable
from studio9_trainers.yolo.framework import HEADS, SHAPES
from studio9_trainers.yolo.quiet import ultralytics
from studio9_trainers.yolo.zoo import fitting

WIDTH, HEIGHT, SIDE = 128, 96, 96
KIND = {"segment": Mask, "pose": Keypoints, "obb": RotatedBox}
Bars = Callable[[Any, range], PictureSet]


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Bars:
    """Pages with two bars each; a red dot tells head from tail."""

    def page(folder: Path, task: str, seed: int) -> Picture:
        random = np.random.default_rng(seed)
        image = random.integers(190, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        marks: list[Mark] = []
        for place in (32, 96):
            bar = RotatedBox(
                label="bar",
                centre_x=place + random.uniform(-4, 4),
                centre_y=48 + random.uniform(-12, 12),
                width=random.uniform(34, 48),
                height=random.uniform(12, 18),
                angle=random.uniform(-80, 80),
            )
            corners = rotated_corners(bar)
            cv2.fillPoly(image, [np.round(corners).astype(np.int32)], (20, 20, 160))
            tail, head = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
            cv2.circle(image, tuple(int(v) for v in np.round(0.8 * head + 0.2 * tail)), 4, (230, 30, 30), -1)
            match task:
                case "obb":
                    marks.append(bar)
                case "segment" if place == 32:
                    marks.append(Polygon(label="bar", points=tuple((float(x), float(y)) for x, y in corners)))
                case "segment":
                    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
                    cv2.fillPoly(drawn, [np.round(corners).astype(np.int32)], 1)
                    like = Mask(label="bar", left=0, top=0, width=1, height=1, counts=(1,))
                    mask = mask_of(drawn > 0, like)
                    assert mask is not None
                    marks.append(mask)
                case _:
                    names = (("head", head), ("tail", tail))
                    points = tuple(Keypoint(name=name, x=float(x), y=float(y)) for name, (x, y) in names)
                    marks.append(Keypoints(label="bar", points=points))
        path = folder / f"{task}-{seed}.png"
        Image.fromarray(image).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=path.stem, version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=WIDTH, height=HEIGHT, annotations=tuple(marks),
        )  # fmt: skip
        return Picture(record, path, ())

    def make(task: Any, seeds: range) -> PictureSet:
        folder = tmp_path_factory.mktemp("bars")
        return PictureSet("train", tuple(page(folder, task, seed) for seed in seeds))

    return make


def parameters(task: Any, epochs: int, **more: Any) -> dict[str, Any]:
    learning = {"epochs": epochs, "batch_size": 4, "recipe_learning_rate": 0.004} | more
    return {
        "architecture": "YOLO11N",
        "head": HEADS[task],
        "head_parameters": learning,
        "input_size": {"width": SIDE, "height": SIDE},
    }


def test_heads_are_those_of_model_files() -> None:
    for task in SHAPES:
        assert "YOLO11N" in fitting(task)


@pytest.mark.parametrize("task", SHAPES)
def test_a_run_that_goes_on_from_an_epoch_ends_with_the_same_weights(task: Any, bars: Bars, tmp_path: Path) -> None:
    pictures, held = bars(task, range(6)), bars(task, range(100, 102))
    runs = open_run(tmp_path / "unbroken", seed=3), open_run(tmp_path / "again", seed=3)
    first, again = (run.folder.outputs / "checkpoints" for run in runs)
    runs[1].checkpoint = first / "epoch-0001.pt"
    config = parameters(task, 2, mosaic=0.5, mirror=0.3)
    for run, resumed in zip(runs, (None, 1), strict=True):
        trainer = get_trainer("yolo", task, config=config, train=pictures, val=held, run=run)
        trained = trainer.train()
        assert trained.resumed_from == resumed
    last = [read_state(folder / "epoch-0002.pt") for folder in (first, again)]
    for part in ("model", "average"):
        for key, tensor in last[0][part].items():
            assert torch.equal(tensor, last[1][part][key]), (part, key)
    trained.model.save(tmp_path / "model.pt")
    file = read_model(tmp_path / "model.pt")
    assert (file.task, file.head) == (task, HEADS[task])
    model = trainer.load(tmp_path / "model.pt")
    seen = Seen(names=model.names)
    thresholds = Thresholds(confidence=0.001)
    told = list(Inference(run, model, thresholds, lambda: None).predict(marked(task, held), seen, judge=True))
    assert [len(one.marks) for one in seen.judged] == [2, 2]
    for picture in told:
        assert all(isinstance(box.shape, KIND[task]) for box in picture.boxes)
        assert PredictedPicture.model_validate_json(picture.model_dump_json(exclude_none=True)) == picture
    with pytest.raises(UserError, match="only upright boxes"):
        sliced(model, Sliced())
    with pytest.raises(CantExport, match=rf"yolo to {task} can't be written as int8; .*yolo to detect"):
        Exporter(model, file, tmp_path).export(("int8",), Provenance(), "0" * 64)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "letter"), [("segment", "(M)"), ("pose", "(P)"), ("obb", "(turned)")])
def test_it_learns(task: Any, letter: str, bars: Bars, tmp_path: Path) -> None:
    run = open_run(tmp_path, seed=3)
    held = marked(task, bars(task, range(1000, 1008)))
    config = parameters(task, 30)
    trained = get_trainer("yolo", task, config=config, train=bars(task, range(40)), val=held, run=run).train()
    seen = Seen(names=trained.model.names)
    list(Inference(run, trained.model, trained.model.thresholds, lambda: None).predict(held, seen, judge=True))
    own: dict[str, float] = trained.model.own_figures(seen.judged, 1)
    assert own[f"ultralytics/mAP50{letter}"] > 0.6
    assert (seen.figures(trained.model.thresholds, "val").map50 or 0) > 0.6
    trained.model.save(tmp_path / "model.pt")
    judges = marked(task, bars(task, range(1000, 1020)))
    exporter = Exporter(trained.model, read_model(tmp_path / "model.pt"), tmp_path, judges)
    for one in exporter.export(("onnx", "openvino", "torchscript", "fp16"), Provenance(), "0" * 64):
        assert one.accepted and one.pictures == 20 and one.detections > 20, one
        assert one.map_drop is None or one.map_drop <= 0.5


def test_what_is_learned_from_is_what_is_marked(bars: Bars, tmp_path: Path) -> None:
    ultralytics(tmp_path, 1)
    from ultralytics.cfg import get_cfg

    from studio9_trainers.yolo.pictures import PictureDataset

    for task in SHAPES:
        pictures = marked(task, bars(task, range(1)))
        (picture,) = pictures.pictures
        points = point_names(pictures)
        data = {"names": {0: "bar"}, "nc": 1, "channels": 3, "kpt_shape": [len(points), 3]}
        dataset = PictureDataset(
            pictures, ("bar",), points, data=data, task=task, imgsz=WIDTH, augment=False, hyp=get_cfg(), rect=False,
            batch_size=1, stride=32, pad=0.0,
        )  # fmt: skip
        one = dataset[0]
        down = (WIDTH - HEIGHT) / 2  # the picture lies in the middle of a square
        if task == "obb":
            for row, mark in zip(one["bboxes"], picture.marks, strict=True):
                assert isinstance(mark, RotatedBox)
                x, y = (row[:2] * WIDTH).tolist()
                assert (x, y - down) == pytest.approx((mark.centre_x, mark.centre_y), abs=0.2)
                turn = (np.degrees(float(row[4])) - mark.angle) % 90
                assert min(turn, 90 - turn) < 1
        elif task == "pose":
            assert points == ("head", "tail")
            for row, mark in zip(one["keypoints"], picture.marks, strict=True):
                assert isinstance(mark, Keypoints)
                for (x, y, seen), point in zip(row.tolist(), mark.points, strict=True):
                    assert (x * WIDTH, y * WIDTH - down, seen) == pytest.approx((point.x, point.y, 2), abs=0.01)
        else:
            areas = [box.width * box.height for box in picture.boxes]
            found = [int((one["masks"][0] == number).sum()) * 16 for number in (1, 2)]  # at a quarter of the size
            for area, whole in zip(sorted(found), sorted(areas), strict=True):
                assert 0.2 * whole < area < whole


def test_rows_become_shapes_where_they_are_in_the_picture(tmp_path: Path) -> None:
    ultralytics(tmp_path, 1)
    from studio9_trainers.yolo.own_figures import own_figures
    from studio9_trainers.yolo.shapes import Way, masked, posed, turned

    way = Way((150, 300), 96)  # scaled to 48 by 96, eight rows of border above and below
    row = np.array([[48, 32, 40, 10, 0.9, 0, np.radians(30)]], np.float32)
    (box,) = turned(row, way, ("bar",), None).shapes or ()
    assert isinstance(box, RotatedBox)
    assert (box.centre_x, box.centre_y, box.angle) == pytest.approx((150, 75, 30), abs=0.01)
    assert (box.width, box.height) == pytest.approx((125, 31.25), abs=0.01)
    row = np.array([[40, 24, 56, 40, 0.9, 0, 44, 28, 0.9, 52, 36, 0.1]], np.float32)
    found = posed(row, way, ("bar",), ("head", "tail"), None)
    (points,) = found.shapes or ()
    assert isinstance(points, Keypoints)
    assert [(one.x, one.y, one.visibility) for one in points.points] == [(137.5, 62.5, 2), (162.5, 87.5, 0)]
    assert found.corners[0] == pytest.approx((125, 50, 175, 100))
    prototypes = torch.full((1, 16, 24), -1.0)
    prototypes[0, 6:10, 10:14] = 1.0  # places 24 to 40 by 40 to 56 of the input
    row = np.array([[36, 20, 60, 44, 0.9, 0, 1.0]], np.float32)
    found = masked(row, prototypes, (64, 96), way, ("bar",))
    (mask,) = found.shapes or ()
    assert isinstance(mask, Mask)
    assert (mask.left, mask.top, mask.width, mask.height) == pytest.approx((125, 50, 50, 50), abs=3)
    assert mask_pixels(mask).mean() > 0.9
    # What is there, found as it is, is right by the framework's own measures too.
    for shape, task, letter in ((box, "obb", "(turned)"), (points, "pose", "(P)"), (mask, "segment", "(M)")):
        record = PictureRecord(
            picture_id="p", version="0" * 64, sha256="0" * 64, key="k", filename="p", size=1, width=300, height=150,
            annotations=(shape,),
        )  # fmt: skip
        (picture,) = marked(task, PictureSet("test", (Picture(record, tmp_path, ()),))).pictures
        corners = np.array([picture.boxes[0].corners])
        right = Detections(corners, np.array([0.9]), np.array([0]), shapes=(shape,))
        own = own_figures([judged(picture.boxes, right, ("bar",), picture.marks)], 1, task)
        assert own[f"ultralytics/mAP50-95{letter}"] == pytest.approx(0.995, abs=1e-3)
        empty = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), shapes=())
        own = own_figures([judged(picture.boxes, empty, ("bar",), picture.marks)], 1, task)
        assert own[f"ultralytics/mAP50{letter}"] == 0


def test_a_task_trains_and_evaluates_turned_boxes(bars: Bars, tmp_path: Path) -> None:
    samples = [Sample(one.path, one.record) for one in bars("obb", range(6)).pictures]
    options = argparse.Namespace(architecture=None, head=None, epochs=1, batch=4, set=[], size=64, rate=None)
    framework, given = chosen(options, samples)
    assert (framework, given["head"]) == ("yolo", "YOLO_OBB")
    task = TaskFolder(tmp_path)
    task.make()
    for name in ("train", "test"):
        write_manifest(task.manifest(name), [one.record for one in samples])
    for one in samples:
        task.picture(one.record.sha256).write_bytes(one.path.read_bytes())
    request = TaskRequest(job="j", kind="train", framework=framework, parameters=given, seed=1, inputs=("train",))
    task.request.write_text(request.model_dump_json())
    assert run_task(task) == EXIT_OK
    task.model.parent.mkdir(parents=True, exist_ok=True)
    task.model.write_bytes((task.outputs / "model.pt").read_bytes())
    inputs = ("model", "test")
    judge = TaskRequest(job="j", kind="evaluate", framework=framework, parameters={}, seed=1, inputs=inputs)
    task.request.write_text(judge.model_dump_json())
    assert run_task(task) == EXIT_OK
    report = json.loads((task.outputs / "report.json").read_text())
    assert "ultralytics/mAP50-95(turned)" in report["framework"]
    result = json.loads((task.outputs / "result.json").read_text())
    assert result["test"]["boxes"] == 12


def test_pictures_without_such_marks_or_with_some_beyond_are_refused(bars: Bars) -> None:
    with pytest.raises(BadInput, match=r"no picture has a turned box.*mark some"):
        check_learnable("obb", bars("segment", range(1)))
    far = RotatedBox(label="bar", centre_x=500, centre_y=20, width=9, height=9, angle=3)
    (picture,) = bars("obb", range(1)).pictures
    record = picture.record.model_copy(update={"annotations": (far,)})
    with pytest.raises(BadInput, match=r"train, line 1 \(obb-0\.png\): the turned box of 'bar' lies beyond"):
        marked("obb", PictureSet("train", (Picture(record, picture.path, ()),)))


def test_the_model_of_every_version_finds_shapes(tmp_path: Path) -> None:
    ultralytics(tmp_path, 1)
    from studio9_trainers.yolo.detector import detector
    from studio9_trainers.yolo.weights import build

    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    for task in SHAPES:
        for architecture in ("YOLO8N", "YOLO12N", "YOLO26N"):
            made = build(architecture, task, 2, 3)
            options = {"points": ("a", "b", "c")} if task == "pose" else {}
            file = ModelFile(
                "yolo", task, architecture, HEADS[task], ("x", "y"), 64, Thresholds(), copied(made), options
            )
            ((_, found),) = detector(file, "cpu").detect([("picture", pixels)], 1e-6, 0.7, 5)
            assert found.shapes is not None and len(found) == len(found.shapes)
            assert all(isinstance(one, KIND[task]) for one in found.shapes)
