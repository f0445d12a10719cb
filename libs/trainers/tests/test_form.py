"""Salsa's form, sent as it stands, gives a model that learns: real scans of digits, from scratch, on one thread."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from studio9_task.layout import TaskFolder
from studio9_task.pictures import write_manifest
from studio9_task.request import TaskRequest
from studio9_task.results import RESULT, TrainResult, read_predictions
from studio9_trainers.data.dataset import PictureSet

Start = Callable[[TaskFolder], "subprocess.Popen[str]"]
Scans = Callable[[range], PictureSet]


def sent(folder: TaskFolder, architecture: str, head: str, scans: Scans, count: int, **more: object) -> None:
    """A training as Baile makes it of the form: two rates of 1e-4, the flag, and nothing else."""
    folder.make()
    for name, numbers in (("train", range(count)), ("test", range(1_500, 1_560))):
        pictures = scans(numbers).pictures
        for one in pictures:
            folder.picture(one.record.sha256).write_bytes(one.path.read_bytes())
        write_manifest(folder.manifest(name), [one.record for one in pictures])
    request = TaskRequest(
        job="j", kind="train", framework="transfer", seed=3, inputs=("train", "test"),
        parameters={
            "architecture": architecture, "head": head, "tune_feature_extractor": False,
            "rates": {"backbone": 1e-4, "head": 1e-4}, **more,
        },
    )  # fmt: skip
    folder.request.write_text(request.model_dump_json())


def result_of(folder: TaskFolder) -> TrainResult:
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, TrainResult)
    return result


def test_the_unmodified_form_learns(tmp_path: Path, start: Start, scans: Scans) -> None:
    folder = TaskFolder(tmp_path)
    sent(folder, "STACKED_AUTOENCODER", "FCN_1LAYER", scans, 240)
    output, _ = start(folder).communicate(timeout=400)
    assert output == ""
    result = result_of(folder)
    assert result.test is not None
    assert (result.test.accuracy or 0) >= 0.6
    assert result.test.map50 is None
    assert result.effective["rates"] == [0.002]
    assert result.effective["epochs"] == 20
    content = folder.manifest("train").read_bytes()
    assert result.effective["datasets"]["train"]["manifest_sha256"] == hashlib.sha256(content).hexdigest()
    assert result.ran.cpu and result.ran.python and result.ran.libraries["torch"]
    first = next(iter(read_predictions(folder.outputs / "predictions.jsonl")))
    assert first.label in result.labels
    assert first.scores is not None
    assert sum(first.scores.values()) == pytest.approx(1, abs=1e-4)


def test_two_labels_are_needed(tmp_path: Path, start: Start, scans: Scans) -> None:
    folder = TaskFolder(tmp_path)
    sent(folder, "STACKED_AUTOENCODER", "FCN_1LAYER", scans, 1)
    start(folder).communicate(timeout=200)
    last = json.loads(folder.events.read_text().splitlines()[-1])
    assert (last["class"], last["code"]) == ("user", "bad_input")
    assert "two labels" in last["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("VGG16", "FCN_1LAYER"), ("SQUEEZENEXT", "FCN_2LAYER"), ("SQUEEZENEXT_REDUCED", "FCN_3LAYER"),
        ("RESNET18", "FREE_SCALE"), ("MOBILENET_V3", "FCN_2LAYER"),
    ],
)  # fmt: skip
def test_other_pairs_learn_too(tmp_path: Path, start: Start, scans: Scans, architecture: str, head: str) -> None:
    folder = TaskFolder(tmp_path)
    sent(folder, architecture, head, scans, 600)
    start(folder).communicate(timeout=1_500)
    test = result_of(folder).test
    assert test is not None
    assert (test.accuracy or 0) >= 0.6
