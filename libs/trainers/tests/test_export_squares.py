"""Exports of models whose networks take squares: classifiers, RT-DETR and RF-DETR, on pieces of real photos."""

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

from studio9_task.parameters import Thresholds
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box, Tag
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.decode import decode
from studio9_trainers.errors import CantExport
from studio9_trainers.export.card import Provenance
from studio9_trainers.export.exportable import CanExport, ExportedDetector
from studio9_trainers.export.exporting import Exporter
from studio9_trainers.export.onnx_file import OnnxRunner
from studio9_trainers.export.parity import equal, paired
from studio9_trainers.files import ModelFile, copied
from studio9_trainers.loops.detecting import SquareDetector
from studio9_trainers.loops.pixels import square_input
from studio9_trainers.loops.queries import QueryDetector
from studio9_trainers.rfdetr import network as rfdetr
from studio9_trainers.rfdetr.trainer import RfDetrDetector
from studio9_trainers.rtdetr import network as rtdetr
from studio9_trainers.transfer.detection import TorchvisionDetector
from studio9_trainers.transfer.detectors import DetectionNetwork
from studio9_trainers.transfer.models import PictureClassifier, PictureReconstructor
from studio9_trainers.transfer.network import Network
from studio9_trainers.yolo.quiet import ultralytics

SIDE = 96
LABELS = ("a", "b", "c")
EXACT = ("onnx", "openvino", "torchscript")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    """Twenty pieces of two photos, of different shapes."""
    folder = tmp_path_factory.mktemp("photos")
    pictures = []
    for number in range(20):
        photo = load_sample_images().images[number % 2]
        width, height = (220, 120) if number % 3 else (130, 150)
        left, top = 40 * (number // 2), 25 * (number // 2)
        path = folder / f"{number}.png"
        Image.fromarray(photo[top : top + height, left : left + width]).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=path.stem, version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=width, height=height,
        )  # fmt: skip
        pictures.append(Picture(record, path, ()))
    return PictureSet("test", tuple(pictures))


@pytest.fixture(scope="module")
def pixels(photos: PictureSet) -> torch.Tensor:
    return torch.from_numpy(np.stack([square_input(decode(one.path), SIDE) for one in photos.pictures]))


@torch.no_grad()
def settled(network: Any, pixels: torch.Tensor) -> Any:
    """With the averages of a network that has seen these pictures."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    network.train()(pixels)
    return network.eval()


def file_of(framework: str, task: Any, architecture: str, head: str, network: Any, **more: Any) -> ModelFile:
    return ModelFile(
        framework, task, architecture, head, LABELS, SIDE, Thresholds(), copied(network), pixels="upright", **more
    )


def of_timm(pixels: torch.Tensor) -> PictureClassifier:
    torch.manual_seed(1)
    made = settled(Network("classify", "SQUEEZENEXT_REDUCED", "FCN_1LAYER", 3, SIDE, {"dropout": 0.1}), pixels)
    return PictureClassifier(file_of("transfer", "classify", "SQUEEZENEXT_REDUCED", "FCN_1LAYER", made), made, "cpu")


def of_yolo(pixels: torch.Tensor) -> PictureClassifier:
    from studio9_trainers.yolo.classify import YoloNetwork

    torch.manual_seed(1)
    made = settled(YoloNetwork("YOLO11N", 3), pixels)
    return PictureClassifier(file_of("yolo", "classify", "YOLO11N", "YOLO_CLASSIFIER", made), made, "cpu")


@pytest.mark.parametrize("made", [of_timm, of_yolo])
def test_classifiers_are_accepted_in_every_exact_format(
    made: Callable[[torch.Tensor], PictureClassifier], photos: PictureSet, pixels: torch.Tensor, tmp_path: Path
) -> None:
    ultralytics(tmp_path / "scratch", 1)
    model = made(pixels)
    decoded = [(one, decode(one.path)) for one in photos.pictures]
    said = {one.record.picture_id: LABELS[int(scores.argmax())] for one, scores in model.classify(decoded)}
    labelled = PictureSet(
        "test",
        tuple(
            replace(
                one,
                record=one.record.model_copy(update={"annotations": (Tag(label=said[one.record.picture_id]),)}),
            )
            for one in photos.pictures
        ),
    )
    found = Exporter(model, model.file, tmp_path, labelled).export((*EXACT, "fp16"), Provenance(), "0" * 64)
    by_format = {one.format: one for one in found}
    for name in EXACT:
        one = by_format[name]
        assert one.accepted and one.same_results and one.pictures == 20, one
        assert one.score_difference is not None and one.score_difference <= 1e-4
    assert by_format["fp16"].map_drop is not None and by_format["fp16"].map_drop <= 0.5
    runner = OnnxRunner(tmp_path / "model.onnx")
    scores = runner(pixels[:3].numpy())[0]  # batches of other sizes than it was traced with
    assert scores.shape == (3, 3) and np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    card = (tmp_path / "card.md").read_text()
    assert "`pixels`: float32, batch x 3 x height x width" in card and "scaled bilinearly" in card
    assert "`scores`: batch x labels" in card
    facts = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert facts["outputs"].startswith("scores: ")


def of_rtdetr(pixels: torch.Tensor) -> SquareDetector:
    """Small and untrained; its places and scores differ enough to be told apart."""
    torch.manual_seed(2)
    made: Any = settled(rtdetr.build("RTDETR_S", 3, 30), pixels)
    with torch.no_grad():
        made.model.enc_score_head.weight *= 40
        for layer in made.model.decoder.class_embed:
            layer.weight.copy_(2 * torch.randn_like(layer.weight) / layer.weight.shape[1] ** 0.5)
            layer.bias.fill_(-2)
    return QueryDetector(file_of("rtdetr", "detect", "RTDETR_S", "RT_DETR", made, options={"queries": 30}), made, "cpu")


def of_rfdetr(pixels: torch.Tensor) -> SquareDetector:
    """Likewise, in squares of another size than its places are kept for."""
    torch.manual_seed(2)
    made: Any = rfdetr.build("RFDETR_TINY", 3, 30).eval()
    with torch.no_grad():
        made.detector.model.enc_out_class_embed[0].weight *= 40
        made.detector.bbox_embed.layers[-1].weight.normal_(std=0.1)
        made.detector.class_embed.weight.copy_(torch.randn(3, 64) / 4)
        made.detector.class_embed.bias.fill_(-2)
    file = file_of("rfdetr", "detect", "RFDETR_TINY", "RF_DETR", made, options={"queries": 30})
    return RfDetrDetector(file, made, "cpu")


@pytest.mark.parametrize("made", [of_rtdetr, of_rfdetr])
def test_detectors_with_queries_are_accepted_in_every_exact_format(
    made: Callable[[torch.Tensor], SquareDetector], photos: PictureSet, pixels: torch.Tensor, tmp_path: Path
) -> None:
    detector: Any = made(pixels)
    detector.file = replace(detector.file, thresholds=Thresholds(confidence=0.4, iou=0.98))
    decoded = [(one, decode(one.path)) for one in photos.pictures]
    found = [
        replace(
            picture,
            boxes=tuple(
                Box(label=LABELS[label], left=left, top=top, width=right - left, height=bottom - top)
                for (left, top, right, bottom), label in zip(boxes.corners[:5], boxes.labels[:5], strict=True)
            ),
        )
        for picture, boxes in detector.detect(decoded, 0.4, 0.5, 100)
    ]
    exported = Exporter(detector, detector.file, tmp_path, PictureSet("test", tuple(found)))
    told = {one.format: one for one in exported.export((*EXACT, "fp16"), Provenance(), "0" * 64)}
    for name in EXACT:
        one = told[name]
        assert one.accepted and one.same_results and one.pictures == 20 and one.detections > 20, one
    assert told["fp16"].map_drop is not None
    assert "`boxes`: batch x queries x 4" in (tmp_path / "card.md").read_text()
    other = ExportedDetector(detector.exportable(), OnnxRunner(tmp_path / "model.onnx"))
    pairs = zip(detector.detect(decoded[:4], 0.4, 0.98, 300), other.detect(decoded[:4], 0.4, 0.98, 300), strict=True)
    for (_, ours), (_, theirs) in pairs:
        assert equal(ours, theirs, within=0.1)


def test_queries_in_another_order_are_the_same_and_moved_ones_are_not() -> None:
    random = np.random.default_rng(0)
    boxes, scores = random.random((9, 4)).astype(np.float32) * 90, random.random((9, 2)).astype(np.float32)
    order = random.permutation(9)
    places = paired(boxes, scores, boxes[order], scores[order])
    assert np.array_equal(order[places], np.arange(9))


def of_decoder() -> tuple[Any, ModelFile]:
    made = Network("reconstruct", "STACKED_AUTOENCODER", "STACKED", 0, SIDE, {"width": 8, "latent": 16, "denoise": 0.0})
    file = ModelFile("transfer", "reconstruct", "STACKED_AUTOENCODER", "STACKED", (), SIDE, Thresholds(), copied(made))
    return PictureReconstructor(file, made, "cpu"), file


def of_torchvision() -> tuple[Any, ModelFile]:
    options = {"width": 8, "latent": 16, "denoise": 0.0, "pyramid": 32}
    made = DetectionNetwork("STACKED_AUTOENCODER", "FCOS", 3, SIDE, options)
    file = file_of("transfer", "detect", "STACKED_AUTOENCODER", "FCOS", made, options=options)
    return TorchvisionDetector(file, made, "cpu"), file


@pytest.mark.parametrize(("task", "made"), [("reconstruct", of_decoder), ("detect", of_torchvision)])
def test_what_cannot_be_written_is_refused_and_told_who_can(
    task: str, made: Callable[[], tuple[Any, ModelFile]], photos: PictureSet, tmp_path: Path
) -> None:
    model, file = made()
    refused = rf"transfer to {task} can't be written as onnx; .*rfdetr to detect, rtdetr to detect"
    with pytest.raises(CantExport, match=refused) as no:
        Exporter(model, file, tmp_path, photos).export(("onnx",), Provenance(), "0" * 64)
    assert no.value.code == "cant_export"
    (one,) = Exporter(model, file, tmp_path, photos).export(("safetensors",), Provenance(), "0" * 64)
    assert one.files[0].path == "model.safetensors" and not isinstance(model, CanExport)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert all(torch.equal(weights.get_tensor(name), value) for name, value in file.state.items())
