"""A trainer of one's own: refused outside a container; inside, its mistakes are told with file and line."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio9_task.layout import TaskFolder
from studio9_trainers.config import training_config
from studio9_trainers.custom.code import code_folder
from studio9_trainers.custom.sandbox import open_doors
from studio9_trainers.custom.trainer import CustomTrainer
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.data.decode import decode
from studio9_trainers.errors import BadInput, BadModel, Untrusted, UserError
from studio9_trainers.files import read_model, save_model
from studio9_trainers.frameworks import catalogue
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.models import Classifier, Scores
from studio9_trainers.run import open_run
from studio9_trainers.state.training import read_state
from studio9_trainers.trainer import Material, Order

GOOD = """
from dataclasses import replace
from studio9_trainers.transfer.detection import Detection
from studio9_trainers.transfer.trainer import Classification

class Mine(Classification):
    framework = "custom"

    def create_model(self):
        config, material = self.order.training
        options = {"width": 8, "latent": 16, "denoise": 0.0, "dropout": 0.0, "hidden": 0}
        config = config.model_copy(
            update={"architecture": "STACKED_AUTOENCODER", "head": "FCN_1LAYER", "options": options}
        )
        self.order = replace(self.order, config=config)
        return super().create_model()

class Raising(Mine):
    def validate(self, model):
        return {}[0]

class Nonsense(Mine):
    def export_model(self, weights):
        return 42

class Leaving(Mine):
    def create_model(self):
        raise SystemExit(0)

class Unable(Mine):
    def export_model(self, weights):
        model = super().export_model(weights)
        model.classify = lambda pictures: ((one, pixels.mean(axis=(0, 1))[:1]) for one, pixels in pictures)
        return model

class Bare:
    pass

class Boxes(Detection):
    def create_model(self):
        config, material = self.order.training
        options = {"width": 8, "latent": 16, "denoise": 0.0, "pyramid": 32}
        config = config.model_copy(update={"architecture": "STACKED_AUTOENCODER", "head": "FCOS", "options": options})
        self.order = replace(self.order, config=config)
        return super().create_model()
"""


@pytest.fixture
def order(
    tmp_path: Path, scans: Callable[[range], PictureSet], pages_of_digits: Callable[[int], PictureSet]
) -> Callable[..., Order]:
    def make(entry: str, task: str = "classify", epochs: int = 1) -> Order:
        run = open_run(tmp_path)
        module = entry.split(":")[0]
        package = run.folder.input("code")
        package.mkdir(parents=True, exist_ok=True)
        (package / f"{module}.py").write_text(GOOD)
        parameters = {
            "architecture": "CUSTOM",
            "head": {"classify": "CUSTOM_CLASSIFIER", "detect": "CUSTOM_DETECTOR"}[task],
            "head_parameters": {"epochs": epochs, "entry": entry},
            "input_size": {"width": 64, "height": 64},
        }
        pictures = scans(range(12)) if task == "classify" else pages_of_digits(12)
        config = training_config(parameters, catalogue(), 0, begun=False)
        return Order(run, config, Material(pictures, pictures))

    return make


def sealed() -> list[str]:
    return []


def test_outside_a_container_it_is_refused(order: Callable[..., Order]) -> None:
    assert open_doors() != []
    with pytest.raises(Untrusted, match="container runner"):
        CustomTrainer("classify", order("mine0:Mine"))


def test_in_a_container_it_trains(order: Callable[..., Order]) -> None:
    trained = CustomTrainer("classify", order("mine1:Mine"), doors=sealed).train()
    assert isinstance(trained.model, Classifier)
    assert trained.epochs_done == 1


def test_its_model_is_loaded_by_the_class_that_its_file_names(order: Callable[..., Order], tmp_path: Path) -> None:
    bound = order("mine6:Mine")
    model = CustomTrainer("classify", bound, doors=sealed).train().model
    path = tmp_path / "model.pt"
    model.save(path)
    loaded = CustomTrainer("classify", Order(bound.run), doors=sealed).load(path)
    assert isinstance(loaded, Classifier) and isinstance(model, Classifier)
    assert loaded.names == model.names
    again, once = (scores_of(one, bound) for one in (loaded, model))
    assert len(once) == 12
    assert all(np.array_equal(a, b) for a, b in zip(again, once, strict=True))


@pytest.mark.parametrize(("task", "entry"), [("classify", "mine10:Mine"), ("detect", "mine11:Boxes")])
def test_it_goes_on_to_the_same_weights_and_is_judged(
    task: Any, entry: str, order: Callable[..., Order], tmp_path: Path
) -> None:
    bound = order(entry, task, epochs=2)
    checkpoints = bound.run.folder.outputs / "checkpoints"
    CustomTrainer(task, bound, doors=sealed).train()
    first, last = (shutil.copyfile(checkpoints / f"epoch-000{n}.pt", tmp_path / f"{n}.pt") for n in (1, 2))
    again = order(entry, task, epochs=2)
    again.run.checkpoint = first
    trained = CustomTrainer(task, again, doors=sealed).train()
    assert trained.resumed_from == 1
    states = [read_state(path) for path in (last, checkpoints / "epoch-0002.pt")]
    for part in ("model", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)
    trained.model.save(tmp_path / "model.pt")
    model = CustomTrainer(task, Order(again.run), doors=sealed).load(tmp_path / "model.pt")
    seen = Seen(names=model.names)
    _, material = again.training
    told = list(Inference(again.run, model, model.thresholds, lambda: None).predict(material.val, seen, judge=True))
    figures = seen.figures(model.thresholds, "val")
    assert len(told) == 12 and (figures.accuracy if task == "classify" else figures.map50) is not None


def scores_of(model: Classifier, order: Order) -> list[Scores]:
    _, material = order.training
    return [scores for _, scores in model.classify((one, decode(one.path)) for one in material.train.pictures)]


def test_a_model_of_nobodys_is_refused(order: Callable[..., Order], tmp_path: Path) -> None:
    bound = order("mine7:Mine")
    trained = CustomTrainer("classify", bound, doors=sealed).train()
    trained.model.save(tmp_path / "model.pt")
    file = read_model(tmp_path / "model.pt")
    save_model(tmp_path / "other.pt", replace(file, options={}))
    with pytest.raises(BadModel, match="its own framework"):
        CustomTrainer("classify", Order(bound.run), doors=sealed).load(tmp_path / "other.pt")


def test_scores_that_are_none_are_the_users_error(order: Callable[..., Order]) -> None:
    bound = order("mine8:Unable")
    model = CustomTrainer("classify", bound, doors=sealed).train().model
    assert isinstance(model, Classifier)
    with pytest.raises(UserError, match="one probability for each of the 10 names"):
        scores_of(model, bound)


@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz"])
def test_code_comes_in_an_archive(tmp_path: Path, packed: str) -> None:
    folder = TaskFolder(tmp_path / "job")
    folder.make()
    archive = folder.input("code") / f"code.{packed.rpartition('.')[2]}"
    archive.parent.mkdir()
    content = b"A = 1"
    if packed == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("own/__init__.py", content)
    else:
        with tarfile.open(archive, "w:gz" if packed == "tar.gz" else "w") as tarred:
            for name, kind in (("./own", tarfile.DIRTYPE), ("./own/__init__.py", tarfile.REGTYPE), ("l", b"2")):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/hostname"
                member.size = len(content) if kind == tarfile.REGTYPE else 0
                tarred.addfile(member, io.BytesIO(content))
    found = code_folder(folder)
    assert found == folder.scratch / "code"
    assert [path.relative_to(found).as_posix() for path in found.rglob("*")] == ["own", "own/__init__.py"]
    assert (found / "own" / "__init__.py").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"PK neither", b"PK\x03\x04" + bytes(200)])
def test_code_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    folder = TaskFolder(tmp_path)
    folder.make()
    with pytest.raises(BadInput, match="There is no input code"):
        code_folder(folder)
    folder.input("code").mkdir()
    (folder.input("code") / "code.zip").write_bytes(content)
    with pytest.raises(BadInput, match="archive"):
        code_folder(folder)


def test_an_archive_leads_nowhere_else(tmp_path: Path) -> None:
    folder = TaskFolder(tmp_path)
    folder.make()
    folder.input("code").mkdir()
    with zipfile.ZipFile(folder.input("code") / "code.zip", "w") as archive:
        archive.writestr("../../outputs/model.pt", b"x")
    with pytest.raises(BadInput, match="dotted"):
        code_folder(folder)
    assert not list(folder.outputs.iterdir())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("mine2:Raising", r"raised KeyError while training in mine2\.py, line 20"),
        ("mine3:Nonsense", "a model without names"),
        ("mine4:Bare", "derive it from"),
        ("mine5:Missing", "has no class Missing"),
        ("mine9:Leaving", r"raised SystemExit while training in mine9\.py, line 28"),
    ],
)
def test_its_mistakes_are_the_users_and_named(order: Callable[..., Order], entry: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CustomTrainer("classify", order(entry), doors=sealed).train()
