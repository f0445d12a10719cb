"""Whole tasks in processes of their own, without a network: train, evaluate, predict, kill, resume, bad input."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio9_task.environment import task_environment
from studio9_task.events import Artifact, Checkpoint, Event, Failed, Metric, Progress, Result, Warned
from studio9_task.exits import task_state
from studio9_task.judgement import EvaluationReport
from studio9_task.launch import launch, request_stop
from studio9_task.layout import TaskFolder
from studio9_task.pictures import read_manifest, write_manifest
from studio9_task.results import RESULT, EvaluateResult, PredictResult, TrainResult, read_predictions
from studio9_task.shim_task import Limits
from studio9_trainers.files import read_model
from studio9_trainers.state.training import read_state

Job = Callable[..., TaskFolder]
Start = Callable[[TaskFolder], "subprocess.Popen[str]"]
Told = Callable[[TaskFolder], list[Event]]

TRAIN, TEST = range(12), range(50, 54)
MOSAICS = {"mosaic": 1.0}
"""Pictures are put together of four in all epochs but the last, so both ways of going on are gone through."""


def finished(process: "subprocess.Popen[str]", code: int = 0) -> str:
    output, _ = process.communicate(timeout=400)
    assert process.returncode == code, output
    assert "NETWORK" not in output
    return output


def result_of(folder: TaskFolder) -> Any:
    return RESULT.validate_json((folder.outputs / "result.json").read_bytes())


@pytest.fixture(scope="module")
def trained(job: Job, start: Start) -> TaskFolder:
    """A training that nothing disturbed."""
    folder = job("train", train=TRAIN, test=TEST, head=MOSAICS)
    assert finished(start(folder)) == ""  # it is silent
    return folder


def test_a_training_tells_what_it_does(trained: TaskFolder, told: Told) -> None:
    events = told(trained)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    progress = [event for event in events if isinstance(event, Progress)]
    assert [one.value for one in progress] == sorted(one.value for one in progress)
    assert [event.code for event in events if isinstance(event, Warned)] == ["few_steps"]
    assert progress[-1].value == 1
    assert any(one.remaining_s for one in progress)
    metrics = {(one.key, one.split, one.step) for one in events if isinstance(one, Metric)}
    for epoch in (1, 2, 3):
        assert {("box_loss", "train", epoch), ("map50", "val", epoch), ("learning_rate", "train", epoch)} <= metrics
    assert ("final/map50", "test", 3) in metrics
    assert [one.epoch for one in events if isinstance(one, Checkpoint)] == [1, 2, 3]
    assert isinstance(events[-1], Result)


def test_announced_files_are_as_announced(trained: TaskFolder, told: Told) -> None:
    artifacts = {one.name: one for one in told(trained) if isinstance(one, Artifact)}
    assert set(artifacts) == {"model", "predictions", "result", "report", "judged"}
    last = [one for one in told(trained) if isinstance(one, Checkpoint)][-1]
    announced: list[Artifact | Checkpoint] = [*artifacts.values(), last]
    for one in announced:
        content = (trained.outputs / one.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one.size, one.sha256)
    names = {path.name for path in trained.outputs.rglob("*") if path.is_file()}
    kept = {"epoch-0002.pt", "epoch-0003.pt"}
    assert names == {"model.pt", "predictions.jsonl", "result.json", "report.json", "judged.jsonl"} | kept


def test_a_trainings_result(trained: TaskFolder) -> None:
    result = result_of(trained)
    assert isinstance(result, TrainResult)
    assert (result.labels, result.pictures, result.boxes) == (("disc", "square"), 12, 36)
    assert (result.epochs, result.epochs_done, result.resumed_from) == (3, 3, None)
    assert result.train is not None and result.val is not None and result.test is not None
    assert (result.train.pictures, result.val.pictures, result.test.pictures) == (12, 1, 4)
    assert result.effective["input_size"] == 96
    assert result.effective["head_rate"] == 0.005
    assert result.ran.threads == 1
    assert result.timings.training_s > 0
    predictions = list(read_predictions(trained.outputs / "predictions.jsonl"))
    assert [(one.input, one.picture_id) for one in predictions] == [
        (name, f"page-{seed}.png") for name, seeds in (("train", TRAIN), ("test", TEST)) for seed in seeds
    ]


def test_files_load_without_running_code(trained: TaskFolder) -> None:
    for name in ("model.pt", "checkpoints/epoch-0003.pt"):
        content = torch.load(trained.outputs / name, weights_only=True)
        assert content["format"].startswith("studio9-")


@pytest.fixture(scope="module")
def killed(job: Job, start: Start, told: Told) -> TaskFolder:
    """The same training, killed in the middle of its second epoch."""
    folder = job("train", train=TRAIN, test=TEST, head=MOSAICS)
    process = start(folder)
    deadline = time.monotonic() + 400
    while not any(isinstance(event, Checkpoint) for event in told(folder)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.wait()
    assert not (folder.outputs / "model.pt").exists()
    return folder


def resumed(
    job: Job, killed: TaskFolder, checkpoint: str = "epoch-0001.pt", head: dict[str, Any] | None = None, **changes: Any
) -> TaskFolder:
    """A folder in which the training goes on from one of its checkpoints."""
    folder = job("train", train=TRAIN, test=TEST, head=MOSAICS | (head or {}), **changes)
    (folder.inputs / "checkpoint").mkdir()
    shutil.copy(killed.outputs / "checkpoints" / checkpoint, folder.inputs / "checkpoint" / "state.pt")
    request = json.loads(folder.request.read_text()) | {"resume": {"checkpoint": "inputs/checkpoint/state.pt"}}
    folder.request.write_text(json.dumps(request))
    return folder


def test_a_killed_training_goes_on_to_the_same_weights(
    job: Job, start: Start, trained: TaskFolder, killed: TaskFolder, told: Told
) -> None:
    folder = resumed(job, killed)
    finished(start(folder))
    assert [one.epoch for one in told(folder) if isinstance(one, Checkpoint)] == [2, 3]
    result = result_of(folder)
    assert (result.resumed_from, result.epochs_done) == (1, 3)
    unbroken, broken = (read_state(one.outputs / "checkpoints" / "epoch-0003.pt") for one in (trained, folder))
    for part in ("model", "average"):
        for name, tensor in unbroken[part].items():
            assert torch.equal(tensor, broken[part][name]), (part, name)
    assert result.test == result_of(trained).test


def test_a_training_that_died_after_its_last_epoch_only_has_to_judge(
    job: Job, start: Start, trained: TaskFolder
) -> None:
    folder = resumed(job, trained, checkpoint="epoch-0003.pt")
    finished(start(folder))
    assert (result_of(folder).resumed_from, result_of(folder).test) == (3, result_of(trained).test)


def test_a_checkpoint_of_another_training_is_refused(job: Job, start: Start, killed: TaskFolder, told: Told) -> None:
    folder = resumed(job, killed, head={"epochs": 4})
    finished(start(folder), 64)
    failed = told(folder)[-1]
    assert isinstance(failed, Failed)
    assert (failed.class_, failed.code) == ("user", "bad_checkpoint")
    assert "other epochs" in failed.message


def test_told_to_stop_it_ends_at_the_next_batch(job: Job, start: Start, told: Told) -> None:
    folder = job("train", train=TRAIN, head={"epochs": 500})
    process = start(folder)
    deadline = time.monotonic() + 400
    while not any(isinstance(event, Progress) for event in told(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    finished(process, 75)
    assert time.monotonic() - began < 60, "500 epochs take minutes"
    assert not any(isinstance(event, Result | Failed) for event in told(folder))


def with_model(job: Job, trained: TaskFolder, kind: str, **inputs: Any) -> TaskFolder:
    folder = job(kind, **inputs)
    folder.model.parent.mkdir()
    shutil.copy(trained.outputs / "model.pt", folder.model)
    return folder


def test_evaluating_gives_what_training_gave(job: Job, start: Start, trained: TaskFolder) -> None:
    folder = with_model(job, trained, "evaluate", test=TEST)
    finished(start(folder))
    result = result_of(folder)
    assert isinstance(result, EvaluateResult)
    assert result.test == result_of(trained).test
    report = EvaluationReport.model_validate_json((folder.outputs / "report.json").read_bytes())
    assert report.map50 == result.test.map50
    assert set(report.framework) == {"ultralytics/mAP50", "ultralytics/mAP50-95"}
    assert len((folder.outputs / "judged.jsonl").read_text().splitlines()) == len(TEST)
    assert read_model(trained.outputs / "model.pt").chosen == result_of(trained).chosen is not None


def test_predicting_passes_over_what_is_no_picture(job: Job, start: Start, trained: TaskFolder, told: Told) -> None:
    folder = with_model(job, trained, "predict", predict=range(60, 63))
    records = list(read_manifest(folder.manifest("predict")))
    folder.picture(records[1].sha256).write_bytes(b"no picture")
    request = json.loads(folder.request.read_text())
    request["parameters"] = {"thresholds": {"confidence": 0.01}}
    folder.request.write_text(json.dumps(request))
    finished(start(folder))
    result = result_of(folder)
    assert isinstance(result, PredictResult)
    assert (result.pictures, result.pictures_failed) == (2, 1)
    warned = [event for event in told(folder) if isinstance(event, Warned)]
    assert [one.code for one in warned] == ["bad_picture"]
    assert "page-61.png" in warned[0].message
    predictions = list(read_predictions(folder.outputs / "predictions.jsonl"))
    assert [one.picture_id for one in predictions] == ["page-60.png", "page-62.png"]
    assert sum(len(one.boxes) for one in predictions) == result.boxes
    for one in predictions:
        assert [box.index for box in one.boxes] == list(range(len(one.boxes)))
        for box in one.boxes:
            assert box.left >= 0 and box.left + box.width <= 96.001
            assert box.top >= 0 and box.top + box.height <= 96.001


def test_weights_to_begin_with(job: Job, start: Start, trained: TaskFolder, told: Told) -> None:
    folder = with_model(job, trained, "train", train=TRAIN)
    request = json.loads(folder.request.read_text())
    request["inputs"].append("model")
    request["parameters"]["tune_feature_extractor"] = False
    request["parameters"]["rates"] = {"backbone": 0.001, "head": 0.002}
    request["parameters"]["head_parameters"]["epochs"] = 1
    folder.request.write_text(json.dumps(request))
    finished(start(folder))
    before = torch.load(trained.outputs / "model.pt", weights_only=True)["state"]
    after = torch.load(folder.outputs / "model.pt", weights_only=True)["state"]
    assert torch.equal(before["model.0.conv.weight"], after["model.0.conv.weight"])  # frozen
    assert not torch.equal(before["model.23.cv2.0.0.conv.weight"], after["model.23.cv2.0.0.conv.weight"])
    assert any("tensors of the given model fit" in getattr(event, "message", "") for event in told(folder))


def no_boxes(folder: TaskFolder) -> None:
    records = [one.model_copy(update={"annotations": ()}) for one in read_manifest(folder.manifest("train"))]
    write_manifest(folder.manifest("train"), records)


def an_empty_request(folder: TaskFolder) -> None:
    folder.request.write_text("{}")


def a_checkpoint_outside(folder: TaskFolder) -> None:
    request = json.loads(folder.request.read_text()) | {"resume": {"checkpoint": "../../state.pt"}}
    folder.request.write_text(json.dumps(request))


def another_kind(folder: TaskFolder) -> None:
    folder.request.write_text(json.dumps(json.loads(folder.request.read_text()) | {"kind": "dream"}))


@pytest.mark.parametrize(
    ("spoil", "code", "named"),
    [
        (no_boxes, "bad_input", "no picture has a box"),
        (an_empty_request, "bad_request", "job"),
        (a_checkpoint_outside, "bad_request", "no such file"),
        (another_kind, "unsupported", "train, evaluate, predict"),
    ],
)
def test_bad_input_is_the_users_and_named(
    job: Job, start: Start, told: Told, spoil: Callable[[TaskFolder], None], code: str, named: str
) -> None:
    folder = job("train", train=range(2))
    spoil(folder)
    finished(start(folder), 64)
    (failed,) = told(folder)
    assert isinstance(failed, Failed)
    assert (failed.class_, failed.code) == ("user", code)
    assert named in failed.message


def test_a_model_that_is_none_is_refused(job: Job, start: Start, told: Told, trained: TaskFolder) -> None:
    folder = with_model(job, trained, "predict", predict=range(2))
    torch.save({"model": torch.nn.Linear(1, 1)}, folder.model)  # a pickle of code
    finished(start(folder), 64)
    failed = told(folder)[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "bad_model"


def test_under_the_shim_a_stop_ends_it_with_a_checkpoint_to_go_on_from(job: Job, told: Told) -> None:
    folder = job("train", train=TRAIN, head={"epochs": 500})
    binaries = Path(sys.executable).parent
    command = [str(binaries / "studio9-task"), str(folder.root)]
    launch(folder, command, Limits(poll_s=0.1), task_environment(folder, 1, binaries))
    deadline = time.monotonic() + 400
    while not any(isinstance(event, Checkpoint) for event in told(folder)):
        assert time.monotonic() < deadline
        assert task_state(folder).state == "running"
        time.sleep(0.05)
    request_stop(folder)
    while (state := task_state(folder)).state != "ended":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state.record is not None
    assert (state.record.ending, state.record.exit_code) == ("stopped", 75)
    assert state.record.peak_rss_bytes > 200_000_000
    assert folder.log.read_text() == ""
