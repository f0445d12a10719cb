"""The recipe of the demo learns: real scanned digits, from scratch, on one thread."""

import importlib.util
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from studio9_task.layout import TaskFolder
from studio9_task.parameters import TrainParameters
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.results import RESULT, TrainResult
from studio9_task.shapes import Box

BUILDER = Path(__file__).parents[2] / "cli" / "studio9_cli" / "demo" / "digits.py"


def digits() -> ModuleType:
    """The demo's page builder, by its file: its package is not part of this environment."""
    pytest.importorskip("sklearn", reason="the digits ship inside scikit-learn, which is not installed here")
    spec = importlib.util.spec_from_file_location("digits", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["digits"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_demos_recipe_reads_digits(
    job: Callable[..., TaskFolder],
    start: Callable[[TaskFolder], "subprocess.Popen[str]"],
    stage: Callable[..., PictureRecord],
) -> None:
    folder = job("train", head={"epochs": 12, "batch_size": 8, "recipe_learning_rate": 0.002})
    with_pages(folder, stage)
    output, _ = start(folder).communicate(timeout=900)
    result = result_of(folder, output)
    assert result.test is not None
    assert (result.test.map50 or 0) >= 0.85
    assert (result.test.recall_at_025 or 0) >= 0.8
    assert result.ran.threads == 1


@pytest.mark.slow
def test_rt_detr_reads_digits_in_three_minutes(
    job: Callable[..., TaskFolder],
    start: Callable[[TaskFolder], "subprocess.Popen[str]"],
    stage: Callable[..., PictureRecord],
) -> None:
    folder = job("train")
    parameters = TrainParameters(architecture="RTDETR_S", head="RT_DETR", head_parameters={"epochs": 16})
    with_pages(folder, stage, framework="rtdetr", parameters=parameters.model_dump(mode="json"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    output, _ = start(folder).communicate(timeout=900)
    result = result_of(folder, output)
    assert result.test is not None
    assert (result.test.map50 or 0) >= 0.5
    # Of the processor, so that a busy machine does not count; with start, predictions and figures.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before <= 180


def with_pages(folder: TaskFolder, stage: Callable[..., PictureRecord], **request: object) -> None:
    """Stage the demo's pages, and change the request."""
    module = digits()
    for split, count in (("train", 160), ("test", 45)):
        records = []
        for page in module.build_pages(folder.root / "pages", count, split=split):
            boxes = [Box.model_validate(asdict(one)) for one in page.boxes]
            records.append(stage(folder, page.path, page.filename, 192, 192, boxes))
        write_manifest(folder.manifest(split), records)
    changed = json.loads(folder.request.read_text()) | {"inputs": ["train", "test"]} | request
    folder.request.write_text(json.dumps(changed))


def result_of(folder: TaskFolder, output: str) -> TrainResult:
    """What a training has found out."""
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, TrainResult), output
    return result
