"""A trainer of one's own: refused outside a container; inside, its mistakes are told with file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from studio9_trainers.config import training_config
from studio9_trainers.custom.sandbox import open_doors
from studio9_trainers.custom.trainer import CustomTrainer
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import Untrusted, UserError
from studio9_trainers.frameworks import catalogue
from studio9_trainers.run import open_run
from studio9_trainers.trainer import Material, Order
from studio9_trainers.transfer.models import PictureClassifier

GOOD = """
from dataclasses import replace
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

class Bare:
    pass
"""


@pytest.fixture
def order(tmp_path: Path, scans: Callable[[range], PictureSet]) -> Callable[[str], Order]:
    def make(entry: str, code: str = GOOD) -> Order:
        run = open_run(tmp_path)
        module = entry.split(":")[0]
        package = run.folder.input("code")
        package.mkdir(parents=True, exist_ok=True)
        (package / f"{module}.py").write_text(code)
        parameters = {
            "architecture": "CUSTOM",
            "head": "CUSTOM_CLASSIFIER",
            "head_parameters": {"epochs": 1, "entry": entry},
        }
        pictures = scans(range(12))
        config = training_config(parameters, catalogue(), 0, begun=False)
        return Order(run, config, Material(pictures, pictures))

    return make


def sealed() -> list[str]:
    return []


def test_outside_a_container_it_is_refused(order: Callable[[str], Order]) -> None:
    assert open_doors() != []
    with pytest.raises(Untrusted, match="container runner"):
        CustomTrainer("classify", order("mine0:Mine"))


def test_in_a_container_it_trains(order: Callable[[str], Order]) -> None:
    trained = CustomTrainer("classify", order("mine1:Mine"), doors=sealed).train()
    assert isinstance(trained.model, PictureClassifier)
    assert trained.epochs_done == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("mine2:Raising", r"raised KeyError while training in mine2\.py, line 19"),
        ("mine3:Nonsense", "a model without names"),
        ("mine4:Bare", "derive it from"),
        ("mine5:Missing", "has no class Missing"),
    ],
)
def test_its_mistakes_are_the_users_and_named(order: Callable[[str], Order], entry: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CustomTrainer("classify", order(entry), doors=sealed).train()
