"""Two processes learn what one learns with all of it, hold the same weights after each epoch, and end and go on as one.

Those of a task are forked, as the group's processes are under torchrun, so that libraries are loaded already.
"""

import copy
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d

from studio9_task.exits import EXIT_OK, EXIT_STOPPED, EXIT_SYSTEM, EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_task.pictures import write_manifest
from studio9_task.report import EventWriter
from studio9_task.request import TaskRequest
from studio9_trainers import trainer
from studio9_trainers.capabilities import Task
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.distributed import failures, launch, process
from studio9_trainers.distributed.group import average_buffers, checksum, joined, sum_gradients
from studio9_trainers.distributed.launch import command, run_distributed
from studio9_trainers.distributed.norms import share_norms
from studio9_trainers.distributed.settings import Rank
from studio9_trainers.distributed.together import Together
from studio9_trainers.errors import BadInput, DriftedApart
from studio9_trainers.events import BatchDone, Listener, TrainingEvent
from studio9_trainers.loops import loop
from studio9_trainers.loops.loop import Loop
from studio9_trainers.run import Run, open_run
from studio9_trainers.state.training import read_state
from studio9_trainers.task import run_task
from studio9_trainers.trainer import get_trainer

PROGRAM = Path(__file__).with_name("distributed_program.py")
WORLD = 2
NORMED = ("STACKED_AUTOENCODER", "FCN_1LAYER", {"optimizer": "SGD", "dropout": 0.0})
HEADS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rfdetr": ("RFDETR_TINY", "RF_DETR", {"queries": 10}),
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


def loop_of(framework: str, pictures: PictureSet, root: Path, rank: Rank) -> Loop:
    """A training with four pictures a step in all."""
    run = open_run(root / f"{rank.rank} of {rank.world}", seed=5)
    run.rank, run.world = rank.rank, rank.world
    architecture, head, given = HEADS.get(framework, NORMED)
    task: Task = "classify" if framework == "transfer" else "detect"
    parameters = {
        "architecture": architecture,
        "head": head,
        "head_parameters": {"epochs": 2, "batch_size": 4 // rank.world, "validation_fraction": 0.25} | given,
        "architecture_parameters": {"width": 8, "latent": 16} if framework == "transfer" else {},
        "input_size": {"width": 64, "height": 64},
    }
    made = get_trainer(framework, task, config=parameters, train=pictures, run=run)
    assert isinstance(made, Loop)
    return made


def test_a_training_with_batch_norms_is_that_of_one(scans: Callable[[range], PictureSet], tmp_path: Path) -> None:
    pictures = scans(range(16))

    def one(rank: Rank, meeting: str) -> int:
        training = loop_of("transfer", pictures, tmp_path, rank)
        with joined(rank, meeting):
            training.train()
        norms = [part for part in training.model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        assert norms and all(type(part).__name__.startswith("Shared") is (rank.world > 1) for part in norms)
        return 0

    assert one(Rank(), "") == 0
    assert forked(one) == [0, 0]
    left = [tmp_path / name / "outputs" / "checkpoints" / "epoch-0002.pt" for name in ("0 of 1", "0 of 2")]
    alone, together = (read_state(path) for path in left)
    for part in ("model", "average"):
        for name, value in alone[part].items():
            assert torch.allclose(value, together[part][name], rtol=1e-5, atol=1e-5), (part, name)


@pytest.mark.parametrize("framework", ["rfdetr", "rtdetr"])
def test_a_step_with_queries_is_that_of_one_though_one_sees_more_boxes(
    framework: str, pages_of_digits: Callable[[int], PictureSet], tmp_path: Path
) -> None:
    """But for the noise with which RT-DETR trains besides, which each draws for itself."""
    pages = pages_of_digits(8)
    fewer = tuple(replace(one, boxes=one.boxes[: number % 4]) for number, one in enumerate(pages.pictures))

    def one(rank: Rank, meeting: str) -> int:
        training = loop_of(framework, PictureSet("train", fewer), tmp_path, rank)
        training.prepare_dataset()
        torch.manual_seed(0)
        model = training.create_model()
        for part in model.modules():
            if hasattr(part, "config"):
                part.config.num_denoising = 0
        with joined(rank, meeting):
            training.together.share_norms(model.train())
            parts = training.losses(model, next(training.train_batches.epoch(0)))
            torch.stack(list(parts.values())).sum().backward()
            training.together.before_step(model, mean=True)
        found = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
        torch.save(found | dict(model.named_buffers()), tmp_path / f"{rank.rank} of {rank.world}.pt")
        return 0

    assert one(Rank(), "") == 0
    assert forked(one) == [0, 0]
    alone, together = (torch.load(tmp_path / f"0 of {world}.pt", weights_only=True) for world in (1, WORLD))
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        away = (value.double() - together[name]).norm() / value.double().norm().clamp_min(1e-2)
        assert away < 1e-3, (name, float(away))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_norms_see_the_pictures_of_all(kind: torch.dtype) -> None:
    def one(rank: Rank, meeting: str) -> int:
        torch.manual_seed(0)
        own = slice(rank.rank, None, WORLD)
        with joined(rank, meeting):
            for norm, shape in (
                (torch.nn.BatchNorm1d(3, momentum=None), (8, 3)),
                (torch.nn.BatchNorm2d(3, affine=False), (4, 3, 2, 2)),
                (BatchNormAct2d(3), (4, 3, 2, 2)),
            ):
                plain, whole = copy.deepcopy(norm), (5 + torch.randn(shape)).to(kind)
                share_norms(norm)
                near = {"rtol": 1e-5, "atol": 1e-5} if kind == torch.float32 else {"rtol": 0.02, "atol": 0.02}
                for _ in range(2):
                    made = norm(whole[own])
                    assert made.dtype == kind
                    assert torch.allclose(made.float(), plain(whole)[own].float(), **near)
                assert norm.num_batches_tracked == 2
                assert torch.allclose(norm.running_mean, plain.running_mean, **near)
                assert torch.allclose(norm.running_var, plain.running_var, **near)
                assert torch.allclose(norm.eval()(whole).float(), plain.eval()(whole).float(), **near)
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


@pytest.mark.parametrize("framework", ["rtdetr", "yolo"])
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
    last = [read_state(one.outputs / "checkpoints" / "epoch-0002.pt") for one in (unbroken, again)]
    for part in ("model", "average"):
        for name, tensor in last[0][part].items():
            assert torch.equal(tensor, last[1][part][name]), (part, name)


@pytest.mark.parametrize(
    ("framework", "which", "how", "exits", "told"),
    [
        ("rtdetr", 1, "fails", [EXIT_USER, EXIT_USER], ("user", "bad_input", "Process 2 of 2: page 7 is torn")),
        # Whose loss has talk of its own with the others.
        (
            "rfdetr",
            1,
            "dies",
            [EXIT_SYSTEM, -signal.SIGKILL],
            ("system", "process_lost", "Process 2 of 2 died without a word"),
        ),
        ("rtdetr", 0, "fails", [EXIT_USER, EXIT_SYSTEM], ("user", "bad_input", "page 7 is torn")),
    ],
)
def test_what_one_fails_of_is_told_and_the_other_ends(
    framework: str,
    which: int,
    how: str,
    exits: list[int],
    told: tuple[str, str, str],
    staged: Staged,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(run: Run, config: TrainingConfig) -> list[Listener]:
        def hear(event: TrainingEvent) -> None:
            if isinstance(event, BatchDone) and (run.rank, event.batch) == (which, 2):
                if how == "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise BadInput("page 7 is torn")

        return [hear]

    monkeypatch.setattr(trainer, "callbacks", failing)
    folder = staged(framework, tmp_path / "failing")
    assert learned(folder, limit_s=100) == exits, folder.events.read_text()[-2000:]
    last = json.loads(folder.events.read_text().splitlines()[-1])
    assert (last["type"], last["class"], last["code"]) == ("error", *told[:2])
    assert last["message"].startswith(told[2])


@pytest.mark.parametrize(("exit_code", "ended"), [(EXIT_STOPPED, EXIT_STOPPED), (None, EXIT_SYSTEM)])
def test_a_leading_process_that_dies_is_told_of(
    exit_code: int | None, ended: int, staged: Staged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that ended by itself has said why; that the other's library then missed it is no cause."""
    program = (
        "import os, sys; from pathlib import Path; from studio9_task.layout import TaskFolder;"
        "from studio9_trainers.distributed.failures import Failure, begin, beside, tell, write_exit;"
        "task = TaskFolder(Path(sys.argv[2])); begin(beside(task, 1)); write_exit(beside(task, 1), 70);"
        "tell(beside(task, 1), Failure('system', 'system_error', 'RuntimeError: Connection closed by peer'));"
        f"begin(beside(task, 0)); write_exit(beside(task, 0), {exit_code}) if {exit_code} else os.kill(os.getpid(), 9);"
        "sys.exit(1)"
    )
    monkeypatch.setattr(launch, "command", lambda given, _: [sys.executable, "-c", program, *given[1:]])
    folder = staged("rtdetr", tmp_path / "leaderless")
    with EventWriter(folder.events, folder.outputs) as events:
        events.log("Begun.")
    assert run_distributed(folder.root, WORLD) == ended
    told = [json.loads(line) for line in folder.events.read_text().splitlines()]
    assert [one["type"] for one in told] == (["log"] if exit_code else ["log", "error"])
    if not exit_code:
        assert (told[1]["sequence"], told[1]["code"]) == (2, "process_lost")
        assert told[1]["message"].startswith("Process 1 of 2 died")


def test_of_three_the_one_that_was_killed_is_told_unless_one_says_why(tmp_path: Path) -> None:
    task = TaskFolder(tmp_path)
    for rank in (1, 2):
        failures.begin(failures.beside(task, rank))
    met = failures.Failure("system", "system_error", "RuntimeError: Connection closed by peer")
    failures.tell(failures.beside(task, 1), met)
    failures.write_exit(failures.beside(task, 1), EXIT_SYSTEM)
    found = failures.first_failure(task, 3, patience_s=0)
    assert found is not None and (found.code, found.message[:14]) == ("process_lost", "Process 3 of 3")
    failures.write_exit(failures.beside(task, 2), EXIT_SYSTEM)
    found = failures.first_failure(task, 3, patience_s=0)
    assert found is not None and found.message == "Process 2 of 3: RuntimeError: Connection closed by peer"
    failures.tell(failures.beside(task, 2), failures.Failure("user", "bad_input", "page 7 is torn"))
    found = failures.first_failure(task, 3, patience_s=0)
    assert found is not None and (found.code, found.message) == ("bad_input", "Process 3 of 3: page 7 is torn")


def test_what_fails_around_the_task_is_told(staged: Staged, tmp_path: Path) -> None:
    """Here the second finds no place to meet, then no checkpoint to go on from; the first says so for it."""
    folder, nowhere = staged("rtdetr", tmp_path / "task"), "nowhere://"
    assert process.main(folder.root, Rank(1, 2), nowhere) == EXIT_SYSTEM
    second = failures.beside(folder, 1)
    assert failures.read_exit(second) == EXIT_SYSTEM
    assert [json.loads(one)["code"] for one in second.events.read_text().splitlines()] == ["lost_touch"]
    request = json.loads(folder.request.read_text()) | {"resume": {"checkpoint": "inputs/gone.pt"}}
    folder.request.write_text(json.dumps(request))
    assert [process.main(folder.root, Rank(rank, 2), nowhere) for rank in (1, 0)] == [EXIT_SYSTEM] * 2
    (told,) = [json.loads(one) for one in folder.events.read_text().splitlines()]
    assert told["code"] == "process_failed" and told["message"].startswith("Process 2 of 2: FileNotFoundError")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "more"), [("yolo", {"recipe_learning_rate": 0.004}), ("rtdetr", {"queries": 10})]
)
def test_two_learn_as_well_as_one(framework: str, more: dict[str, Any], job: Callable[..., TaskFolder]) -> None:
    """Squares and discs, with the same global batch: as much as three seeds find, give or take what the few pages that
    they are judged on may make."""

    def found(seed: int, processes: int) -> float:
        folder = job("train", train=range(24), val=range(900, 904), test=range(1000, 1024))
        architecture, head, _ = HEADS[framework]
        given = {
            "architecture": architecture,
            "head": head,
            "head_parameters": {"epochs": 28, "batch_size": 4 // processes} | more,
            "input_size": {"width": 64, "height": 64},
        }
        changed = {"seed": seed, "framework": framework, "parameters": given}
        request = json.loads(folder.request.read_text()) | changed
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
@pytest.mark.parametrize("framework", ["rtdetr", "yolo"])
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
