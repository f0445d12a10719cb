"""What the frameworks offer: documented as it is, small enough to be announced, and free of strict licences."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import pytest

from studio9_task.catalogue import Catalogue
from studio9_task.exits import EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_trainers.capabilities import TASK_OF_CONSUMER
from studio9_trainers.errors import Untrusted
from studio9_trainers.frameworks import catalogue, frameworks
from studio9_trainers.table import rows, table
from studio9_trainers.task import run_task
from studio9_trainers.trainer import get_trainer
from studio9_trainers.yolo.zoo import fitting, model_files

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "trainers.md"
ANNOUNCED = 56 * 1024
"""Bytes that a worker's first message leaves for the catalogue."""


def test_the_documented_table_is_what_there_is() -> None:
    documented = PAGE.read_text(encoding="utf-8").split("<!-- table -->\n")[1].split("<!-- end -->")[0]
    assert documented == table(rows()), "write it anew: python -m studio9_trainers.table"


class Collected:
    """Hears which tests there are."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = {f"{item.path.name}::{item.name}" for item in session.items}


def test_each_cell_of_the_table_has_a_test_that_shows_it() -> None:
    shown = run_path(str(Path(__file__).with_name("shown.py")))
    tests = shown["SHOWN"]
    documented = PAGE.read_text(encoding="utf-8").split("<!-- shown -->\n")[1].split("<!-- end of shown -->")[0]
    assert documented == shown["listed"](), "write it anew: python libs/trainers/tests/shown.py"
    cells = {(one.framework, one.task): one for one in rows()}
    assert tests.keys() == cells.keys()
    for pair, one in cells.items():
        assert [name == "" for name in tests[pair]] == [False, one.evaluate == "none", False, not one.export, False]
    named = {name for each in tests.values() for name in each if name}
    files = sorted({str(Path(__file__).with_name(name.partition("::")[0])) for name in named})
    collected = Collected()
    options = ["--collect-only", "-q", "--import-mode=importlib", "--no-header", "-p", "no:cacheprovider"]
    assert pytest.main([*options, *files], plugins=[collected]) == 0
    assert named <= collected.found, sorted(named - collected.found)


def test_each_head_of_the_catalogue_has_a_trainer() -> None:
    known = frameworks()
    for head in catalogue().heads:
        offered = {one.task for one in known[head.framework].capabilities()}
        assert TASK_OF_CONSUMER[head.consumer] in offered
        ids = {one.id for one in known[head.framework].architectures}
        assert set(head.architectures) <= ids


def test_the_catalogue_offers_the_kinds_that_run_and_no_others() -> None:
    offered = {(one.framework, one.kind) for one in catalogue().tasks}
    for name, framework in frameworks().items():
        known = framework.capabilities()
        assert ((name, "export") in offered) is any(one.export for one in known), name
        assert ((name, "predict") in offered) is any(one.predict for one in known), name
        assert ((name, "evaluate") in offered) is any(one.evaluate != "none" for one in known), name
    assert ("custom", "train") in offered and ("custom", "export") not in offered
    said = {one.framework: one.description for one in catalogue().tasks if one.kind == "export"}
    assert "detect: safetensors, onnx" in said["yolo"]


def test_what_is_not_installed_is_not_offered() -> None:
    bare = replace(frameworks()["rtdetr"], capabilities=lambda: ())
    assert bare.catalogue("1") == Catalogue(version="1")


def test_a_kind_that_a_framework_cannot_run_is_refused(job: Callable[..., TaskFolder]) -> None:
    folder = job("export", test=range(1))
    request = json.loads(folder.request.read_text()) | {"framework": "custom"}
    folder.request.write_text(json.dumps(request))
    assert run_task(folder) == EXIT_USER
    told = json.loads(folder.events.read_text().splitlines()[-1])
    assert told["code"] == "unsupported"
    assert "custom can train, evaluate, predict here" in told["message"]


def test_the_form_finds_salsas_own_names() -> None:
    architectures = {one.id for one in catalogue().architectures}
    assert {"STACKED_AUTOENCODER", "VGG16", "VGG16_RFB", "SQUEEZENEXT", "SQUEEZENEXT_REDUCED"} <= architectures
    heads = {one.id: one.consumer for one in catalogue().heads}
    assert {"FCN_1LAYER", "FCN_2LAYER", "FCN_3LAYER", "FREE_SCALE", "KPCA_MNL", "RPCA_MNL"} <= {
        key for key, consumer in heads.items() if consumer == "classifier"
    }
    assert (heads["RFBNET"], heads["STACKED"]) == ("detector", "decoder")


def test_the_printed_catalogue_is_small_and_means_the_same() -> None:
    printed = catalogue().printed()
    assert len(printed) < ANNOUNCED
    assert Catalogue.model_validate_json(printed) == catalogue()


def test_every_model_file_of_the_package_is_offered() -> None:
    assert {"YOLO5N", "YOLO8N", "YOLO9T", "YOLO10N", "YOLO11N", "YOLO12N"} <= set(model_files())
    assert set(fitting("segment")) >= {"YOLO8N", "YOLO9C", "YOLO9E", "YOLO11X"}
    assert "YOLO9T" not in fitting("segment")
    assert "YOLO10N" not in fitting("pose")


@pytest.mark.parametrize(
    "module", ["studio9_trainers.rfdetr.trainer, studio9_trainers.rtdetr.trainer", "studio9_trainers.transfer.trainer"]
)
def test_other_paths_import_nothing_of_agpl(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules, 'ultralytics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_code_of_ones_own_runs_only_in_a_container(tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="container"):
        get_trainer("custom", "classify", folder=tmp_path)
