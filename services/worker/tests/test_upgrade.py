"""The agent is upgraded while a task of it runs: the version before started it, this one finds it and ends it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import WorkerRun
from studio9_common.ids import new_id
from studio9_task.exits import task_state
from studio9_task.launch import request_stop
from studio9_task.layout import TaskFolder

from .conftest import PROGRAM, QUEUES, WORKER, Platform
from .earlier import NoEarlierCode, earlier

PARTS = ("libs/common", "libs/task", "services/worker")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PYTHONPATH of the version before."""
    try:
        return earlier(tmp_path_factory.mktemp("before"), PARTS)
    except NoEarlierCode as error:
        pytest.skip(str(error))


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[tuple[Platform, str]]:
    """A platform that is not open yet, and a job for it. Its task lives on after its agents, and ends with the test
    though that may fail."""
    platform, job = Platform(tmp_path), new_id()
    yield platform, job
    folder = TaskFolder(platform.task_folder(job))
    if task_state(folder).state == "running":
        with suppress(FileNotFoundError):
            request_stop(folder, 1.0)
        await platform.until(lambda: task_state(folder).state != "running")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_task_of_the_version_before_is_found_and_its_result_is_delivered_once(
    tmp_path: Path, held: tuple[Platform, str], before: str, ending: signal.Signals
) -> None:
    platform, job = held
    environment = {**os.environ, "PYTHONPATH": before}
    where = await asyncio.to_thread(
        subprocess.check_output,
        [sys.executable, "-c", "import studio9_worker, studio9_task; print(studio9_worker.__file__)"],
        env=environment,
        text=True,
    )
    assert where.startswith(before.partition("/libs/")[0]), "it is the older code that runs"
    settings = {
        "worker_id": WORKER, "state_dir": str(tmp_path / "worker"), "task_command": PROGRAM,
        "trainers_python": sys.executable, "threads": 1, "beat_s": 0.4, "poll_s": 0.05, "runner": "process",
    }  # fmt: skip
    spec = Spec(kind="train", parameters={"do": "train", "epochs": 4, "wait": True})
    older = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "agent_process.py"),
        str(tmp_path),
        json.dumps(settings),
        WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec).model_dump_json(),
        json.dumps([(queue.name, queue.bindings[0]) for queue in QUEUES]),
        env=environment,
    )
    folder = TaskFolder(platform.task_folder(job))
    try:
        await platform.until(lambda: folder.events.exists() and '"checkpoint"' in folder.events.read_text(), 120)
    finally:
        with suppress(ProcessLookupError):
            older.send_signal(ending)
        code = await older.wait()
    assert code == (0 if ending is signal.SIGTERM else -ending)
    try:
        result = await platform.found_again(job)
        assert {file.name for file in (await platform.manifest(result)).files} == {"model.pt", "task.log"}
    finally:
        await platform.close()
