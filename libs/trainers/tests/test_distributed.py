"""Two processes learn what one learns with all of it, hold the same weights after each epoch, and end and go on as one.

Those of a task are forked, as the group's processes are under torchrun, so that libraries are loaded already.
"""

import json
import multiprocessing
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from studio9_task.exits import EXIT_OK, EXIT_STOPPED
from studio9_task.layout import TaskFolder
from studio9_task.pictures import write_manifest
from studio9_task.request import TaskRequest
from studio9_trainers import trainer
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.distributed import process
from studio9_trainers.distributed.group import average_buffers, checksum, joined, sum_gradients
from studio9_trainers.distributed.launch import command, run_distributed
from studio9_trainers.distributed.settings import Rank
from studio9_trainers.distributed.together import Together
from studio9_trainers.errors import DriftedApart
from studio9_trainers.events import BatchDone, Listener, TrainingEvent
from studio9_trainers.loops import loop
from studio9_trainers.run import Run, open_run
from studio9_trainers.task import run_task

PROGRAM = Path(__file__).with_name("distributed_program.py")
WORLD = 2
HEADS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rtdetr": ("RTDETR_S", "RT_DETR", {"queries": 10}),
    "yolo": ("YOLO11N", "YOLO_HEAD", {"mosaic": 0.5}),
}


def test_two_processes_equal_one_with_the_same_global_batch(tmp_path: Path) -> None:
    runpy.run_path(str(PROGRAM))["main"](tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = command([str(PROGRAM), str(tmp_path)], WORLD)
    done = subprocess.run(started, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    alone, together = (load_file(tmp_path / f"{world}.safetensors") for world in (1, WORLD))
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=1e-5, atol=1e-6), name
    assert (tmp_path / "2-0.txt").read_text() == (tmp_path / "2-1.txt").read_text()


def forked(one: Callable[[Rank, str], int], limit_s: float = 500) -> list[int | None]:
    """Run it in two forked processes that can meet; their exit codes."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        children = [
            context.Process(target=lambda rank: sys.exit(one(Rank(rank, WORLD), meeting)), args=(rank,))
            for rank in range(WORLD)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(limit_s)
            if child.is_alive():
                child.kill()
                child.join()
        return [child.exitcode for child in children]


def test_what_passes_between_them(tmp_path: Path) -> None:
    def one(rank: Rank, meeting: str) -> int:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
        run = open_run(tmp_path / str(rank.rank))
        run.rank, run.world = rank.rank, rank.world
        with joined(rank, meeting):
            together = Together(run)
            model[:2](torch.full((4, 2), float(rank.rank)) + torch.arange(4)[:, None]).sum().backward()
            model[0].bias.grad = torch.ones(2) if rank.rank == 0 else None
            sum_gradients(model)
            assert model[0].bias.grad.tolist() == [1, 1] and model[2].weight.grad is None
            before = checksum(model)
            assert together.anyone(together.leaders(before) != before)  # they have seen different pictures
            with pytest.raises(DriftedApart, match="with one process"):
                together.compare(1, model)
            average_buffers(model)
            together.compare(2, model)
            assert together.anyone(rank.rank == 1) and not together.anyone(False)
            assert together.leaders(2.0**52 + rank.rank) == 2.0**52
        return 0

    assert forked(one) == [0, 0]


Staged = Callable[[str, Path], TaskFolder]


@pytest.fixture
def staged(pages_of_digits: Callable[[int], PictureSet]) -> Staged:
    """Makes the folder of a training of two epochs on pages of digits."""
    pages = pages_of_digits(14)

    def make(framework: str, root: Path) -> TaskFolder:
        folder = TaskFolder(root)
        folder.make()
        write_manifest(folder.manifest("train"), [one.record for one in pages.pictures])
        for one in pages.pictures:
            shutil.copyfile(one.path, folder.picture(one.record.sha256))
        architecture, head, more = HEADS[framework]
        given = {
            "architecture": architecture,
            "head": head,
            "head_parameters": {"epochs": 2, "batch_size": 2, "validation_fraction": 0.25} | more,
            "input_size": {"width": 64, "height": 64},
        }
        request = TaskRequest(job="j", kind="train", framework=framework, parameters=given, seed=3, inputs=("train",))
        folder.request.write_text(request.model_dump_json())
        return folder

    return make


def checksums(folder: TaskFolder) -> list[list[str]]:
    """What each process says of its weights, epoch by epoch."""
    told = (folder.events, folder.scratch / "process-1" / "events.jsonl")
    return [re.findall(r"(epoch \d+: weights \d+)\.", path.read_text()) for path in told]


def learned(folder: TaskFolder, limit_s: float = 500) -> list[int | None]:
    """Run the task of a folder in two processes."""
    return forked(lambda rank, meeting: process.main(folder.root, rank, meeting), limit_s)


@pytest.mark.parametrize("framework", HEADS)
def test_weights_are_the_same_after_each_epoch_also_after_going_on(
    framework: str, staged: Staged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE_S", 1e9)  # a busy machine may take seconds for a batch
    unbroken = staged(framework, tmp_path / "unbroken")
    assert learned(unbroken) == [EXIT_OK, EXIT_OK], unbroken.events.read_text()[-2000:]
    first, second = checksums(unbroken)
    assert first == second and len(first) == 2 and first[0].split()[-1] != first[1].split()[-1]
    result = json.loads((unbroken.outputs / "result.json").read_text())
    assert result["effective"]["effective_batch"] == 4

    def stopping(run: Run, config: TrainingConfig) -> list[Listener]:
        def hear(event: TrainingEvent) -> None:
            if isinstance(event, BatchDone) and (run.rank, event.epoch, event.batch) == (1, 2, 2):
                os.kill(os.getpid(), signal.SIGTERM)

        return [hear]

    stopped, again = staged(framework, tmp_path / "stopped"), staged(framework, tmp_path / "again")
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "callbacks", stopping)
        assert learned(stopped) == [EXIT_STOPPED, EXIT_STOPPED], stopped.events.read_text()[-2000:]
    left = max((stopped.outputs / "checkpoints").iterdir(), key=lambda path: path.stem)
    assert left.name == {"rtdetr": "epoch-0001-000002.pt", "yolo": "epoch-0001.pt"}[framework]
    kept = again.input("checkpoint") / "state.pt"
    kept.parent.mkdir()
    shutil.copyfile(left, kept)
    request = json.loads(again.request.read_text()) | {"resume": {"checkpoint": "inputs/checkpoint/state.pt"}}
    again.request.write_text(json.dumps(request))
    assert learned(again) == [EXIT_OK, EXIT_OK], again.events.read_text()[-2000:]
    assert checksums(again) == [first[1:], second[1:]]
    last = [torch.load(one.outputs / "checkpoints" / "epoch-0002.pt", weights_only=True) for one in (unbroken, again)]
    for part in ("model", "average"):
        for name, tensor in last[0][part].items():
            assert torch.equal(tensor, last[1][part][name]), (part, name)


@pytest.mark.slow
def test_two_learn_as_well_as_one(job: Callable[..., TaskFolder]) -> None:
    """Squares and discs, with the same global batch: as much as three seeds find, give or take what the few pages that
    they are judged on may make."""

    def found(seed: int, processes: int) -> float:
        folder = job("train", train=range(24), val=range(900, 904), test=range(1000, 1024))
        options = {"epochs": 28, "batch_size": 4 // processes, "recipe_learning_rate": 0.004}
        given = {
            "architecture": "YOLO11N",
            "head": "YOLO_HEAD",
            "head_parameters": options,
            "input_size": {"width": 64, "height": 64},
        }
        request = json.loads(folder.request.read_text()) | {"seed": seed, "parameters": given}
        folder.request.write_text(json.dumps(request))
        if processes == 1:
            assert run_task(folder) == EXIT_OK
        else:
            assert learned(folder, limit_s=1800) == [EXIT_OK, EXIT_OK]
        result = json.loads((folder.outputs / "result.json").read_text())
        assert result["effective"]["effective_batch"] == 4
        return float(result["test"]["map50_95"])

    alone = [found(seed, 1) for seed in (1, 2, 3)]
    together = found(1, WORLD)
    assert min(alone) > 0.1
    assert min(alone) - 0.05 <= together <= max(alone) + 0.05, (alone, together)


def test_yolos_package_never_learns_that_there_are_others(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from studio9_trainers.yolo.quiet import ultralytics;"
        "from studio9_trainers.distributed.settings import Rank; utils = ultralytics(Path(sys.argv[1]), 1).utils;"
        "print(utils.RANK, utils.LOCAL_RANK, Rank.from_environment())"
    )
    environment = {**os.environ, "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split(maxsplit=2) == ["-1", "-1", "Rank(rank=1, world=2)\n"], done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("framework", HEADS)
def test_torchrun_starts_what_the_command_line_asks_for(framework: str, staged: Staged, tmp_path: Path) -> None:
    folder = staged(framework, tmp_path / "shared")
    assert run_distributed(folder.root, WORLD) == 0, folder.events.read_text()[-2000:]
    first, second = checksums(folder)
    assert first == second and len(first) == 2
    result = json.loads((folder.outputs / "result.json").read_text())
    assert result["effective"]["effective_batch"] == 4 and (folder.outputs / "model.pt").is_file()


def test_shares_are_all_pictures_in_an_order_of_each_epoch() -> None:
    from studio9_trainers.yolo.share import Share

    shares = [Share(7, seed=3, rank=rank, world=WORLD) for rank in range(WORLD)]
    orders = []
    for epoch in (0, 1):
        for share in shares:
            share.epoch = epoch
        seen = [list(share) for share in shares]
        assert [len(one) for one in seen] == [len(share) for share in shares] == [4, 4]
        assert set(np.concatenate(seen)) == set(range(7))
        orders.append(seen)
    assert orders[0] != orders[1]
