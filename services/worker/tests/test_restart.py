"""The agent dies or leaves, and its successor goes on."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import WorkerRun, WorkerTelemetry
from studio9_common.ids import new_id
from studio9_task.exits import task_state
from studio9_task.layout import TaskFolder
from studio9_worker.app import StateInUse

from .conftest import QUEUES, WORKER, Platform, worker_settings


async def start_process(folder: Path, run: WorkerRun) -> asyncio.subprocess.Process:
    """A platform in a process of its own; the run is sent to it, once more at each start."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "agent_process.py"),
        str(folder),
        worker_settings(folder / "worker").model_dump_json(exclude={"token_keys", "objects_secret_key"}),
        run.model_dump_json(),
        json.dumps([(queue.name, queue.bindings[0]) for queue in QUEUES]),
    )


def losses(telemetry: list[WorkerTelemetry]) -> list[int | None]:
    """The steps of the metric `loss` in all batches, each batch once; a repeated batch must be the same."""
    batches = {batch.sequence: batch for batch in telemetry}
    assert all(batches[batch.sequence] == batch for batch in telemetry)
    return [item.step for _, batch in sorted(batches.items()) for item in batch.items if item.key == "loss"]


async def test_an_agent_killed_in_mid_task_loses_and_doubles_nothing(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    job = new_id()
    spec = Spec(kind="train", parameters={"do": "train", "epochs": 4, "wait": True})
    process = await start_process(tmp_path, WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec))
    folder = TaskFolder(platform.task_folder(job))
    await platform.until(lambda: folder.events.exists() and folder.events.read_text().count('"checkpoint"') == 3)
    await platform.until(lambda: _sending(tmp_path / "worker" / "worker.sqlite"))
    process.kill()
    await process.wait()
    try:
        await platform.found_again(job)
        assert losses(platform.telemetry) == [1, 2, 3, 4]
        sequences = [beat.sequence for beat in platform.beats]
        assert sequences == sorted(set(sequences))
    finally:
        await platform.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_an_agent_killed_again_and_again_ends_as_if_nothing_had_been(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    platform = Platform(tmp_path)
    job = new_id()
    spec = Spec(kind="train", parameters={"do": "train", "epochs": 60, "pause": 0.1})
    run = WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec)
    for _ in range(6):
        process = await start_process(tmp_path, run)
        await platform.until(platform.task_folder(job).exists)  # or a slow machine never gets to the first command
        await asyncio.sleep(chance.uniform(0, 2.5))
        process.kill()
        await process.wait()
    await platform.open()
    try:
        await platform.start_worker()
        result = await platform.result(job)
        assert (result.outcome, result.summary["resumed_from"]) == ("succeeded", 0)
        await platform.gone(job)
        assert losses(platform.telemetry) == list(range(1, 61))
        assert {file.name for file in (await platform.manifest(result)).files} == {"model.pt", "task.log"}
        assert len({one.model_dump_json() for one in platform.results}) == 1
    finally:
        await platform.close()


async def test_a_task_that_ended_without_its_agent_is_reported_by_the_next(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("train", parameters={"wait": True})
    await platform.phase(job, "running")
    await platform.stop_worker()
    folder = TaskFolder(platform.task_folder(job))
    assert task_state(folder).state == "running", "a clean stop leaves the task alone"
    (folder.root / "go").touch()
    await platform.until(lambda: task_state(folder).state == "ended")
    assert not platform.results
    await platform.start_worker()
    assert (await platform.result(job)).outcome == "succeeded"
    await platform.gone(job)


async def test_an_unconfirmed_result_survives(platform: Any) -> None:
    await platform.start_worker()
    platform.decide = lambda job, fence, phase: "keep"
    job = await platform.run("succeed")
    before = await platform.result(job)
    await platform.stop_worker()
    platform.results.clear()
    await platform.start_worker()
    assert await platform.result(job) == before
    await platform.phase(job, "ended")
    platform.decide = platform.confirm_all
    await platform.gone(job)


async def test_a_shim_that_was_killed_is_the_infrastructures_fault(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    lock = json.loads(TaskFolder(platform.task_folder(job)).lock.read_text())
    os.kill(lock["pid"], signal.SIGKILL)
    result = await platform.result(job)
    assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "runner_error", "infrastructure")
    assert await platform.objects.get(result.checkpoint.key) == b"7"


async def test_stopping_with_the_platform_keeps_the_checkpoint_for_later(platform: Any) -> None:
    await platform.start_worker(stop_tasks_on_exit=True)
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    await platform.stop_worker()
    folder = TaskFolder(platform.task_folder(job))
    assert task_state(folder).state != "running", "nothing runs any more"
    await platform.start_worker(stop_tasks_on_exit=True)
    result = await platform.result(job)
    assert (result.outcome, result.reason.code) == ("failed", "worker_stopped")
    assert await platform.objects.get(result.checkpoint.key) == b"7"


async def test_two_agents_cannot_share_a_state(platform: Any) -> None:
    first = await platform.start_worker()
    with pytest.raises(StateInUse):
        await platform.start_worker()
    platform.service = first


async def test_folders_that_nobody_owns_are_removed(platform: Any) -> None:
    orphan = platform.task_folder("forgotten", 7)
    (orphan / "outputs" / "locked").mkdir(parents=True)
    (orphan / "outputs" / "locked" / "file").touch()
    (orphan / "outputs" / "locked").chmod(0o500)
    foreign = platform.folder / "worker" / "jobs" / "lost+found"
    foreign.mkdir()
    await platform.start_worker()
    await platform.gone("forgotten", 7)
    assert foreign.exists()


async def test_an_orphan_that_runs_is_stopped_first(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    await platform.stop_worker()
    task = platform.task_folder(job)
    assert processes_in(task), "the task goes on without its agent"
    (platform.folder / "worker" / "worker.sqlite").unlink()
    await platform.start_worker(sweep_s=0.3)
    await platform.gone(job)
    assert not processes_in(task)


def processes_in(folder: Path) -> list[str]:
    """The processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in command:
                found.append(command)
    return found


def _sending(state: Path) -> bool:
    """Whether a batch of telemetry is on its way, or was."""
    database = sqlite3.connect(state)
    try:
        return database.execute("SELECT count(cursor_lines) FROM attempts").fetchone() == (1,)
    finally:
        database.close()
