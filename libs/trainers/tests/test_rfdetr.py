"""RF-DETR's own: weights that its user brings, as they are published or trained here, and what is refused of them."""

import socket
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio9_task.catalogue import Catalogue
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import BadModel
from studio9_trainers.files import read_model
from studio9_trainers.loops.precision import Precision
from studio9_trainers.rfdetr import framework
from studio9_trainers.rfdetr.network import SHAPES, build
from studio9_trainers.rfdetr.weights import begun
from studio9_trainers.run import open_run
from studio9_trainers.trainer import get_trainer

TINY = "RFDETR_TINY"
GROUPS = SHAPES[TINY].groups

Published = tuple[Path, dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A file of weights for 91 labels and 64 queries a group, under the names that their authors publish, and the same
    weights by the names that a network has here."""
    torch.manual_seed(3)
    network: Any = build(TINY, 91, 64)
    for name, value in network.detector.named_parameters():
        if "query_feat" in name or "point_embed" in name:
            torch.nn.init.normal_(value, std=0.1)
    folder = tmp_path_factory.mktemp("published")
    network.detector.save_pretrained(folder)
    return folder / "model.safetensors", {key: value.clone() for key, value in network.detector.state_dict().items()}


def others(network: Any, weights: dict[str, torch.Tensor]) -> set[str]:
    """The names of the tensors that are not the same."""
    return {name for name, value in network.detector.state_dict().items() if not torch.equal(value, weights[name])}


def test_weights_begin_a_training_whatever_names_they_are_published_under(published: Published, tmp_path: Path) -> None:
    path, weights = published
    theirs = load_file(path)
    assert {"refpoint_embed.weight", "transformer.decoder.layers.0.self_attn.in_proj_weight"} <= theirs.keys()
    torch.save({"model": theirs, "args": Namespace(num_classes=90)}, tmp_path / "theirs.pth")
    save_file(weights, tmp_path / "other.safetensors")
    for file in (path, tmp_path / "theirs.pth", tmp_path / "other.safetensors"):
        network, fitting = begun(file, TINY, labels=3, queries=64)
        differing = others(network, weights)
        assert differing <= {name for name in weights if "class_embed" in name}
        assert fitting == len(weights) - 2 * (GROUPS + 1)


def test_fewer_queries_are_the_first_of_each_group(published: Published) -> None:
    path, weights = published
    asked = ("model.query_feat.weight", "model.reference_point_embed.weight")
    first = {name: weights[name].view(GROUPS, 64, -1)[:, :10].flatten(0, 1) for name in asked}
    assert others(begun(path, TINY, labels=91, queries=10)[0], weights | first) == set()
    with pytest.raises(BadModel, match="queries = 65: the given weights know 64"):
        begun(path, TINY, labels=91, queries=65)


class Code:
    """What would run when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("it-ran"),))


def test_weights_of_another_architecture_and_other_files_are_refused(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, _ = published
    for layers, differs in ((1, "decoder.layers.1"), (3, "decoder.layers.2")):
        monkeypatch.setitem(SHAPES, "RFDETR_NANO", replace(SHAPES[TINY], decoder_layers=layers))
        with pytest.raises(BadModel, match=rf"not those of RFDETR_NANO .*{differs}.*choose the architecture"):
            begun(path, "RFDETR_NANO", labels=3, queries=64)
    monkeypatch.setitem(SHAPES, "RFDETR_NANO", replace(SHAPES[TINY], side=224))
    with pytest.raises(BadModel, match=r"not those of RFDETR_NANO \(1 tensors differ, as .*position_embeddings"):
        begun(path, "RFDETR_NANO", labels=3, queries=64)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:-8])
    pickled = tmp_path / "pickled.pth"
    torch.save({"model": {"a": Code()}}, pickled)
    empty = tmp_path / "empty.pth"
    torch.save({"epoch": 3}, empty)
    save_file({}, tmp_path / "bare.safetensors")
    odd = [{}, {3: torch.zeros(2)}, {"a": [1]}, {"a": torch.eye(3).to_sparse()}]
    files = [(broken, "damaged"), (pickled, "can't be read"), (empty, "no weights of an RF-DETR")]
    files.append((tmp_path / "bare.safetensors", "no weights of an RF-DETR"))
    for number, state in enumerate(odd):
        files.append((tmp_path / f"odd-{number}.pth", "no weights of an RF-DETR"))
        torch.save({"model": state}, files[-1][0])
    whole = load_file(path)
    for number, value in enumerate((torch.tensor(1.0), torch.zeros(0), torch.zeros(GROUPS, 64, 2), torch.zeros(0, 4))):
        files.append((tmp_path / f"shaped-{number}.pth", "not those of RFDETR_TINY|queries = 64"))
        torch.save({"model": whole | {"refpoint_embed.weight": value}}, files[-1][0])
    for file, told in files:
        with pytest.raises(BadModel, match=told):
            begun(file, TINY, labels=3, queries=64)
    assert not (tmp_path / "it-ran").exists()


def test_a_training_begins_with_them_without_network_and_others_begin_with_it(
    published: Published,
    pages_of_digits: Callable[[int], PictureSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    path, weights = published
    run, pictures = open_run(tmp_path), pages_of_digits(6)
    settings = {
        "architecture": TINY, "head": "RF_DETR", "input_size": {"width": 32, "height": 32},
        "head_parameters": {"epochs": 1, "batch_size": 4, "queries": 300}, "tune_feature_extractor": False,
    }  # fmt: skip
    trained = get_trainer("rfdetr", config=settings, train=pictures, begin=path, run=run).train()
    assert [one.code for one in run.warnings] == ["queries_clipped"]
    assert "queries = 300: pictures of 64 pixels have places for 64" in run.warnings[0].message
    trained.model.save(tmp_path / "model.pt")
    file = read_model(tmp_path / "model.pt")
    assert file.options["queries"] == 64
    backbone = {name: value for name, value in file.state.items() if ".backbone.backbone." in name}
    assert len(backbone) > 40
    assert all(torch.equal(value, weights[name.removeprefix("detector.")]) for name, value in backbone.items())
    again, fitting = begun(tmp_path / "model.pt", TINY, labels=len(file.labels), queries=64)
    assert fitting == len(again.state_dict())
    with pytest.raises(BadModel, match="is a RFDETR_TINY, not a RFDETR_NANO"):
        begun(tmp_path / "model.pt", "RFDETR_NANO", labels=2, queries=64)


def test_half_precision_bears_what_it_is_sure_of() -> None:
    torch.manual_seed(0)
    network = build(TINY, 2, 10).train()
    for name, value in network.named_parameters():
        if name.endswith("bias") and "class_embed" in name:
            torch.nn.init.constant_(value, 8.0)
    wanted = [{"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}]
    pixels, found = torch.rand(1, 3, 64, 64), []
    for precision in (Precision("fp32", "cpu"), Precision("bf16", "cpu")):
        with precision.cast() if precision.mixed else nullcontext():
            found.append(network(pixel_values=pixels, labels=wanted).loss)
    assert found[1].dtype == torch.float32 and found[1].item() == pytest.approx(found[0].item(), rel=0.05)
    found[1].backward()
    assert all(bool(one.grad.isfinite().all()) for one in network.parameters() if one.grad is not None)


def test_without_it_in_transformers_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {one.id for one in framework.FRAMEWORK.catalogue("1").architectures} == set(SHAPES)
    monkeypatch.setattr(framework, "find_spec", lambda _: None)
    assert framework.FRAMEWORK.catalogue("1") == Catalogue(version="1")
