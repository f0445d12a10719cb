"""What the form sends becomes settings that learn; what can't be used is named."""

import json
import subprocess
import sys
from typing import Any

import pytest

from studio9_task.catalogue import Catalogue
from studio9_trainers.config import FORM_RATE, multiple_of_32, training_config
from studio9_trainers.errors import Unsupported, UserError
from studio9_trainers.frameworks import catalogue
from studio9_trainers.trainer import get_trainer

FORM: dict[str, Any] = {"architecture": "YOLO11N", "head": "YOLO_HEAD"}


def test_the_forms_own_rates_mean_the_recipes() -> None:
    config = training_config(FORM | {"rates": {"backbone": FORM_RATE, "head": 0.01}}, catalogue(), 3, begun=False)
    assert (config.backbone_rate, config.head_rate) == (0.002, 0.01)
    assert (config.epochs, config.optimizer, config.seed) == (25, "AdamW", 3)


def test_given_values_win() -> None:
    head = {"epochs": 4, "seed": 9, "recipe_learning_rate": 0.01, "mosaic": 1}
    config = training_config(
        FORM | {"head_parameters": head, "input_size": {"width": 500, "height": 300}}, catalogue(), 3, begun=False
    )
    assert (config.epochs, config.seed, config.head_rate, config.input_size) == (4, 9, 0.01, 512)
    assert config.options["mosaic"] == 1


@pytest.mark.parametrize(("begun", "tune", "frozen"), [(False, False, False), (True, False, True), (True, True, False)])
def test_the_backbone_is_frozen_only_with_weights_to_begin_with(begun: bool, tune: bool, frozen: bool) -> None:
    config = training_config(FORM | {"tune_feature_extractor": tune}, catalogue(), 0, begun)
    assert config.freeze_backbone is frozen


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"architecture": "VGG17"}, "architecture: 'VGG17'.*YOLO11N"),
        ({"architecture": "VGG16"}, "head: 'YOLO_HEAD'.*does not fit on VGG16; use .*FCN_1LAYER"),
        ({"head": "FCN_1LAYER"}, "head: 'FCN_1LAYER'.*YOLO_HEAD"),
        ({"head_parameters": {"epochs": 0, "mosaic": 2}}, "head_parameters.epochs: 0.*head_parameters.mosaic: 2"),
        ({"architecture_parameters": {"depth": 3}}, "architecture_parameters.depth: 3"),
        ({"input_size": {"width": 8, "height": 8}}, "input_size.width = 8"),
        ({"rates": {"head": 0}}, "rates.head = 0"),
    ],
)
def test_what_can_not_be_used_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        training_config(FORM | change, catalogue(), 0, begun=False)
    assert error.value.code == "bad_parameters"


def test_sizes() -> None:
    assert [multiple_of_32(side) for side in (1, 64, 65, 192, 608)] == [64, 64, 96, 192, 608]


def test_the_catalogue_is_printed_without_the_heavy_libraries() -> None:
    code = (
        "import sys; from studio9_trainers.task import main; main(['--catalogue']);"
        "heavy = {'torch','ultralytics','cv2','faster_coco_eval','timm','transformers'};"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    printed = Catalogue.model_validate(json.loads(done.stdout))
    assert {"YOLO11N", "YOLO8N"} <= {one.id for one in printed.architectures}
    assert {(kind, "yolo") for kind in ("train", "evaluate", "predict")} <= {
        (one.kind, one.framework) for one in printed.tasks
    }
    for head in printed.heads:
        shown = {"epochs", "batch_size", "optimizer", "patience", "seed", "recipe_learning_rate"}
        assert shown - ({"patience"} if not head.neural else set()) <= {one.name for one in head.parameters}


def test_an_unknown_framework_is_named() -> None:
    with pytest.raises(Unsupported, match=r"'keras'.*yolo"):
        get_trainer("keras")
    with pytest.raises(Unsupported, match="'reconstruct'"):
        get_trainer("yolo", "reconstruct")
