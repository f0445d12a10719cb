"""Exports compute what the model computes, on pieces of real photos; and the card says so."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from sklearn.datasets import load_sample_images

from studio9_task.layout import TaskFolder
from studio9_task.parameters import Thresholds
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, RotatedBox
from studio9_trainers.data.dataset import Picture, PictureSet, read_pictures
from studio9_trainers.data.masks import mask_of
from studio9_trainers.detections import Detections
from studio9_trainers.errors import BadInput, Unsupported
from studio9_trainers.export.card import Provenance
from studio9_trainers.export.exportable import ExportedDetector, TorchRunner
from studio9_trainers.export.exporting import Exporter
from studio9_trainers.export.onnx_file import OnnxRunner, write_onnx
from studio9_trainers.export.parity import Parity, alike, compare, equal
from studio9_trainers.files import ModelFile, copied, read_model
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.run import open_run
from studio9_trainers.trainer import get_trainer
from studio9_trainers.yolo.quiet import ultralytics

SIDE = 96
POINTS = ("head", "tail")
SPREAD = 0.2
"""Between the logits of a low and a high score of an untrained model. What two processors' roundings make of its scores
grows with it: at 1, half of what an export is allowed to differ by."""


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Of a photo, as a model's input."""
    ultralytics(tmp_path_factory.mktemp("scratch"), 1)
    photo = torch.from_numpy(load_sample_images().images[0][:384, :576].copy()).permute(2, 0, 1).float() / 255
    return torch.stack([piece for row in photo.split(96, 1) for piece in row.split(96, 2)])


def settled(task: Any, architecture: str, pieces: torch.Tensor) -> Any:
    """An untrained model with averages as of a trained one."""
    from studio9_trainers.yolo.weights import build

    torch.manual_seed(3)
    made = build(architecture, task, 2, len(POINTS)).train()
    for layer in made.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        made(pieces)
    return made.eval()


def file_of(task: Any, architecture: str, made: Any, confidence: float) -> ModelFile:
    from studio9_trainers.yolo.framework import HEADS
    from studio9_trainers.yolo.weights import PIXELS

    return ModelFile(
        "yolo", task, architecture, HEADS[task], ("a", "b|c"), SIDE, Thresholds(confidence=confidence, iou=0.98),
        copied(made), {"points": POINTS} if task == "pose" else {}, pixels=PIXELS,
    )  # fmt: skip


def telling(task: Any, pieces: torch.Tensor) -> ModelFile:
    """A small model, untrained, whose scores differ enough to be told apart."""
    from studio9_trainers.yolo.detector import parted

    made = settled(task, "YOLO11N", pieces)
    with torch.no_grad():
        lasts = [branch[-1] for branch in made.model[-1].cv3]  # what gives the scores
        for last in lasts:
            last.bias.fill_(0)
        scores = parted(made(pieces))[0][:, 4:6].logit()
        low, high = scores.flatten().quantile(torch.tensor([0.1, 0.9]))
        for last in lasts:
            last.weight *= SPREAD / (high - low)
            last.bias.fill_(float(-1.4 - SPREAD * high / (high - low)))  # so that a few places are of something
        # Between two scores that lie well apart, so that the last bit decides nothing.
        scores = parted(made(pieces))[0][:, 4:6].flatten().sort().values
        scores = scores[(scores > 0.2) & (scores < 0.5)]
        gap = int(scores.diff().argmax())
    return file_of(task, "YOLO11N", made, float(scores[gap : gap + 2].mean()))


@pytest.fixture(scope="module")
def model(pieces: torch.Tensor) -> tuple[object, ModelFile]:
    """One that finds boxes."""
    from studio9_trainers.yolo.detector import detector

    file = telling("detect", pieces)
    return detector(file, "cpu"), file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, model: tuple[object, ModelFile]) -> PictureSet:
    """Twenty pieces of two photos, of different shapes, labelled with what the model itself finds."""
    folder = tmp_path_factory.mktemp("photos")
    pictures = []
    for number in range(20):
        photo = load_sample_images().images[number % 2]
        width, height = (160, 120) if number % 3 else (130, 150)
        left, top = 40 * (number // 2), 25 * (number // 2)
        path = folder / f"{number}.png"
        Image.fromarray(photo[top : top + height, left : left + width]).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=path.stem, version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=width, height=height,
        )  # fmt: skip
        pictures.append(Picture(record, path, ()))
    detector, file = model
    decoded = [(one, np.asarray(Image.open(one.path))) for one in pictures]
    found = [
        Picture(
            one.record,
            one.path,
            tuple(
                Box(label=file.labels[label], left=left, top=top, width=right - left, height=bottom - top)
                for (left, top, right, bottom), label in zip(boxes.corners[:5], boxes.labels[:5], strict=True)
            ),
        )
        for one, boxes in detector.detect(decoded, file.thresholds.confidence, 0.45, 300)
    ]
    return PictureSet("test", tuple(found))


def test_every_exact_format_is_accepted_and_told_of(
    tmp_path: Path, model: tuple[object, ModelFile], photos: PictureSet
) -> None:
    detector, file = model
    announced = []
    exporter = Exporter(detector, file, tmp_path, photos, announced.append)
    known = Provenance(name="Photos", licence="AGPL-3.0", parents=("m1",))
    found = exporter.export(("safetensors", "onnx", "openvino", "torchscript", "fp16"), known, "f" * 64)
    by_format = {one.format: one for one in found}
    for name in ("onnx", "openvino", "torchscript"):
        one = by_format[name]
        assert one.accepted, one.model_dump()
        assert one.pictures == 20 and one.detections > 10 and one.same_results
        assert one.score_difference <= 1e-4 and one.box_difference <= 0.1
    assert by_format["fp16"].accepted and by_format["fp16"].map_drop <= 0.5
    assert by_format["fp16"].files[0].size < 0.6 * by_format["onnx"].files[0].size
    for written in announced:
        content = written.path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (written.size, written.sha256)
    assert {path.name for path in tmp_path.iterdir()} == {written.path.name for written in announced}
    card = (tmp_path / "card.md").read_text()
    for told in ("# Photos", "AGPL-3.0", "m1", "YOLO11N", "f" * 64, "b\\|c", by_format["onnx"].files[0].sha256):
        assert told in card
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert weights.metadata()["architecture"] == "YOLO11N"
        assert all(torch.equal(weights.get_tensor(name), value) for name, value in file.state.items())
    facts = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert facts["labels"] == "a\nb|c" and facts["input_size"] == str(SIDE)


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_what_finds_shapes_is_accepted_too(task: Any, tmp_path: Path, pieces: torch.Tensor, photos: PictureSet) -> None:
    from studio9_trainers.yolo.detector import detector

    file = telling(task, pieces)
    exporter = Exporter(detector(file, "cpu"), file, tmp_path, photos)
    for one in exporter.export(("onnx", "openvino", "torchscript"), Provenance(), "0" * 64):
        assert one.accepted, one.model_dump()
        assert one.pictures == 20 and one.detections > 10 and one.same_results
        assert one.score_difference <= 1e-4 and one.box_difference <= 0.1
    told = {"segment": "`prototypes`: batch x 32", "pose": "of each keypoint", "obb": "in radians"}[task]
    assert told in (tmp_path / "card.md").read_text()


@pytest.mark.parametrize(
    ("architecture", "task"),
    [("YOLO10N", "detect"), *(("YOLO26N", task) for task in ("detect", "segment", "pose", "obb"))],
)
def test_a_model_that_chooses_its_boxes_is_exported_as_it_is(
    architecture: str, task: Any, tmp_path: Path, pieces: torch.Tensor, photos: PictureSet
) -> None:
    from studio9_trainers.yolo.detector import detector

    model = detector(file_of(task, architecture, settled(task, architecture, pieces), 1e-5), "cpu")
    taken = model.exportable()
    write_onnx(taken, tmp_path / "model.onnx")
    exported = ExportedDetector(taken, OnnxRunner(tmp_path / "model.onnx"))
    decoded = [(picture, np.asarray(Image.open(picture.path))) for picture in photos.pictures[:2]]
    pairs = zip(model.detect(decoded, 1e-5, 0.98, 50), exported.detect(decoded, 1e-5, 0.98, 50), strict=True)
    for (_, ours), (_, theirs) in pairs:
        assert len(ours) > 10 and equal(ours, theirs, within=0.1)


def test_shapes_that_differ_are_not_the_same() -> None:
    drawn = np.zeros((40, 40), dtype=bool)
    drawn[5:25, 5:25] = True
    like = Mask(label="a", left=0, top=0, width=1, height=1, counts=(1,))
    moved, edge = np.roll(drawn, 2, axis=1), drawn.copy()
    edge[5, 5:8] = False
    one, other, almost = (mask_of(each, like) for each in (drawn, moved, edge))
    assert one and other and almost
    assert alike(one, one, 0.1) and alike(one, almost, 0.1) and not alike(one, other, 0.1)
    box = RotatedBox(label="a", centre_x=20, centre_y=20, width=20, height=6, angle=30)
    turned = box.model_copy(update={"angle": 31.0})
    assert alike(box, box, 0.1) and not alike(box, turned, 0.1) and not alike(box, one, 9)
    points = Keypoints(label="a", points=(Keypoint(name="head", x=1, y=2),))
    hidden = Keypoints(label="a", points=(Keypoint(name="head", x=1, y=2, visibility=0),))
    assert alike(points, points, 0.1) and not alike(points, hidden, 0.1)
    found = Detections(np.array([[5, 5, 25, 25.0]]), np.array([0.5]), np.array([0]), shapes=(one,))
    assert equal(found, found) and not equal(found, replace(found, shapes=(other,)))


def test_smaller_files_of_a_model_that_has_learned_lose_little(
    tmp_path: Path, job: Callable[..., TaskFolder], model: tuple[Any, ModelFile]
) -> None:
    """Squares and discs, on pages that it has not seen."""
    folder = job("train", train=range(24), val=range(900, 904), test=range(1000, 1024))
    train, val, test = (read_pictures(folder, name) for name in ("train", "val", "test"))
    parameters = {
        "architecture": "YOLO11N",
        "head": "YOLO_HEAD",
        "head_parameters": {"epochs": 28, "batch_size": 4, "recipe_learning_rate": 0.004, "scale": 0.1},
        "input_size": {"width": 64, "height": 64},
    }
    run = open_run(tmp_path / "run", seed=3)
    learned = get_trainer("yolo", "detect", config=parameters, train=train, val=val, run=run).train().model
    seen = Seen(names=learned.names)
    list(Inference(run, learned, learned.thresholds, lambda: None).predict(test, seen, judge=True))
    assert (seen.figures(learned.thresholds, "test").map50_95 or 0) > 0.3
    learned.save(tmp_path / "model.pt")
    told = Exporter(learned, read_model(tmp_path / "model.pt"), tmp_path, test).export(
        ("fp16", "int8"), Provenance(), "0" * 64
    )
    drops = {one.format: one.map_drop for one in told}
    assert drops["fp16"] <= 0.5 and drops["int8"] <= 1.5, drops
    assert all(one.accepted and one.detections > 20 for one in told)
    sizes = [one.files[0].size for one in told]
    assert sizes[1] < 0.7 * sizes[0] and not (tmp_path / "model.onnx").exists()
    with pytest.raises(BadInput, match="int8: give pictures"):
        Exporter(*model, tmp_path).export(("int8",), Provenance(), "0" * 64)


def test_an_exported_model_detects_as_the_model_does(
    tmp_path: Path, model: tuple[object, ModelFile], photos: PictureSet
) -> None:
    detector, file = model
    (one,) = Exporter(detector, file, tmp_path).export(("onnx",), Provenance(), "0" * 64)
    assert one.accepted is None and one.pictures == 0  # nothing to judge by
    exported = ExportedDetector(detector.exportable(), OnnxRunner(tmp_path / "model.onnx"))
    decoded = [(picture, np.asarray(Image.open(picture.path))) for picture in photos.pictures[:4]]
    least = file.thresholds.confidence
    pairs = zip(
        detector.detect(decoded, least, file.thresholds.iou, 300),
        exported.detect(decoded, least, file.thresholds.iou, 300),
        strict=True,
    )
    for (picture, ours), (other, theirs) in pairs:
        assert picture is other
        assert equal(ours, theirs, within=0.1)


def test_a_model_that_computes_something_else_is_not_accepted(
    model: tuple[object, ModelFile], photos: PictureSet
) -> None:
    detector, _ = model
    taken = detector.exportable()
    pixels = [np.asarray(Image.open(one.path)) for one in photos.pictures[:2]]
    exact = TorchRunner(taken.module)

    def shifted(inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        (found,) = exact(inputs)
        found = found.copy()
        found[:, :2] += 0.5
        return (found,)

    same, moved = compare(taken, exact, exact, pixels), compare(taken, exact, shifted, pixels)
    assert (same.score, same.box, same.same) == (0, 0, True) and not same.accepted  # of two pictures only
    assert moved.box == pytest.approx(0.5, abs=1e-3)
    assert Parity(20, 0, 0.05, True, 9).accepted
    assert not Parity(20, 0, 0.5, True, 9).accepted and not Parity(20, 0, 0, False, 9).accepted
    one = Detections(np.array([[0, 0, 9, 9.0]]), np.array([0.5]), np.array([0]))
    assert not equal(one, Detections(one.corners, one.confidences, np.array([1])))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_tensorrt_says_what_it_needs(tmp_path: Path, model: tuple[object, ModelFile]) -> None:
    with pytest.raises(Unsupported, match=r"tensorrt.*use onnx"):
        Exporter(*model, tmp_path).export(("tensorrt",), Provenance(), "0" * 64)
    assert TaskFolder(tmp_path).root == tmp_path
