"""Arms that run in the trainers' environment: a program in `libs/trainers/bench/`, asked line by line.

Each line of JSON that it reads names an arm and its options; the line that it answers holds the measured values.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from studio9_cli import project
from studio9_cli.bench.kit.pairs import Arm
from studio9_task.environment import task_environment
from studio9_task.layout import TaskFolder

LINE_LIMIT = 2**20
GIVEN_BACK = "MALLOC_MMAP_THRESHOLD_=4194304"


class ArmFailed(Exception):
    """The measuring program ended before it answered: its own error stands above."""


class Measuring:
    """A measuring program at work."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, arm: str, /, **options: Any) -> dict[str, Any]:
        """Runs an arm once. Raises `ArmFailed`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"arm": arm, **options}).encode() + b"\n")
        await self._process.stdin.drain()
        answer = await self._process.stdout.readline()
        if not answer:
            raise ArmFailed
        found: dict[str, Any] = json.loads(answer)
        return found

    def arm(self, which: str, value: str, /, **options: Any) -> Arm:
        """An arm for `Bench.paired`: runs for at least so many seconds and gives one of the values."""

        async def run(seconds: float) -> float:
            return float((await self.ask(which, seconds=seconds, **options))[value])

        return run


@asynccontextmanager
async def measuring(program: str, *, as_task: bool = False) -> AsyncIterator[Measuring]:
    """Starts `libs/trainers/bench/<program>.py`, on one core and with one thread; it ends with the block.

    Large blocks go back to the system when they are free: else the memory told is that of gaps between them. `as_task`:
    they stay, as in the platform's tasks.
    """
    python = await asyncio.to_thread(project.ensure_trainers)
    path = project.root() / "libs" / "trainers" / "bench" / f"{program}.py"
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/env", "OMP_NUM_THREADS=1", "VIPS_CONCURRENCY=1",
        "YOLO_OFFLINE=1", "YOLO_AUTOINSTALL=false", *(_task_memory() if as_task else [GIVEN_BACK]),
        str(python), str(path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_LIMIT,
    )  # fmt: skip
    try:
        yield Measuring(process)
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _task_memory() -> list[str]:
    given = task_environment(TaskFolder(project.root()), 1, project.root())
    return [f"{name}={value}" for name, value in given.items() if name.startswith("MALLOC_")]
