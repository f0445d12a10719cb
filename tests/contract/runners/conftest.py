"""Every runner of tasks: child processes always, containers where an engine can be had."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from studio9_common.ids import new_id
from studio9_task.exits import ExitRecord, TaskState
from studio9_task.layout import TaskFolder
from studio9_worker.lease import AttemptKey
from studio9_worker.runners.container import ContainerRunner, Owner
from studio9_worker.runners.engine import Engine
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.mounted import mounted_program
from studio9_worker.runners.port import Launch, Runner
from studio9_worker.runners.process import ProcessRunner
from studio9_worker.runners.sealing import Room

WITHIN_S = 30.0
THERE = "/opt/programs"
TASK_USER = (10001, 10001)
PROGRAM = """
import pathlib, sys
folder = pathlib.Path(sys.argv[-1])
exec(compile((folder / "inputs" / "program.py").read_text(), "program.py", "exec"))
"""


@dataclass
class Tasks:
    """A runner with tasks that are scripts; `folder` is the working folder of the last one."""

    runner: Runner
    root: Path
    successor: Callable[[], Runner]

    async def start(self, script: str, **given: Any) -> Launch:
        """Starts a script in a new folder."""
        launch = self.launch(script, **given)
        await self.runner.start(launch)
        return launch

    def launch(self, script: str, **given: Any) -> Launch:
        """What starting a script needs."""
        key = AttemptKey(new_id(), 1)
        folder = TaskFolder(self.root / "jobs" / f"{key.job}.{key.fence}")
        folder.make()
        (folder.inputs / "program.py").write_text(script)
        launch = Launch(
            key=key, folder=folder, request=b"{}", image=None, threads=1, gpus=(), time_limit_s=60.0,
            disconnect_grace_s=60.0, stop_grace_s=1.0, memory_bytes=256 << 20, file_bytes=1 << 20, log_bytes=10_000,
            nice=5,
        )  # fmt: skip
        return replace(launch, **given)

    async def state(self, launch: Launch, wanted: str) -> TaskState:
        """Until the task stands there."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.runner.find(launch.folder)
                if found.state == wanted:
                    return found
                await asyncio.sleep(0.05)

    async def ended(self, launch: Launch) -> ExitRecord:
        """The record of a task that ends."""
        record = (await self.state(launch, "ended")).record
        assert record is not None
        return record

    async def wrote(self, launch: Launch, name: str = "told") -> str:
        """The line that the task writes to a file in its outputs."""
        path = launch.folder.outputs / name
        async with asyncio.timeout(WITHIN_S):
            while True:
                if path.exists() and (text := path.read_text()).endswith("\n"):
                    return text.strip()
                await asyncio.sleep(0.05)


@pytest.fixture(params=["process", "container"])
def tasks(request: Any, tmp_path: Path) -> Iterator[Tasks]:
    """Tasks of the runner under test."""
    program = tmp_path / "program" / "start.py"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    if request.param == "process":

        def children() -> Runner:
            return ProcessRunner((sys.executable, str(program)), Path(sys.executable).parent)

        yield Tasks(children(), tmp_path, children)
        return
    url, image = (request.getfixturevalue(name) for name in ("docker_url", "docker_image"))
    engine = Engine(url)
    owner = Owner("contract", tmp_path.name)
    python = mounted_program(Path(sys.executable), (f"{THERE}/start.py",))
    mounts = {**python.mounts, program.parent: THERE}

    def containers() -> Runner:
        room = Room(TASK_USER, 512 << 20)
        images = ImageStore(engine, tmp_path / "images.json", 0)
        return ContainerRunner(engine, engine.local_image(image), replace(python, mounts=mounts), room, owner, images)

    try:
        yield Tasks(containers(), tmp_path, containers)
    finally:
        for labels in engine.labelled(owner.labels):
            engine.remove(owner.name(f"{labels['studio9.job']}.{labels['studio9.fence']}"))
        engine.close()
