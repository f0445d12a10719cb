"""A training beside the platform on one machine: the task is busy on the threads it was given, and the platform answers
and beats as if it were not there."""

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from studio9_cli.demo.api import Api
from studio9_cli.demo.runner import DemoOptions, run_demo
from studio9_cli.demo.show import Silent
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.state import NotRunning, StateFolder
from studio9_common.tasks import end

from .alive import processes

ROUNDS, SPELL_S, PAUSE_S = 12, 1.0, 0.02
BUSY = 0.1
"""Of all that a task's threads compute, what makes one of them a busy one."""
SLOWER, NOISE_S = 5.0, 0.05
"""How much longer an answer may take, in the middle, while the training runs than while it stands still."""
LEASE_S = 20.0
BEGUN_S, GONE_S = 300.0, 60.0


@pytest.fixture
def state(tmp_path: Path, trainers_python: Path) -> Iterator[Path]:
    assert trainers_python.exists()
    folder = tmp_path / "state"
    yield folder
    with pytest.raises(NotRunning):
        StateFolder(folder).running()
    until = time.monotonic() + GONE_S
    while (left := processes(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


async def test_a_training_leaves_the_platform_its_time(state: Path) -> None:
    """Busy threads are told by their shares of the task's computing, and answers are compared with those of the very
    same seconds in which the training is held: whatever else the machine does weighs on both alike."""
    demo = asyncio.create_task(run_demo(DemoOptions(state=state, port=0, pages=48, epochs=500), Silent()))
    try:
        folder, task = await begun(state, demo)
        granted = json.loads((folder / "request.json").read_text())["threads"]
        held, beside, ages = await alternating(state, task)
        busy = busy_threads(task)
    finally:
        await end(demo)
    assert len(busy) <= granted, busy
    assert max(ages) < LEASE_S
    assert statistics.median(beside) <= SLOWER * statistics.median(held) + NOISE_S


async def begun(state: Path, demo: "asyncio.Task[object]") -> tuple[Path, int]:
    """The folder of the training, and the process that computes, once it has told its first epoch."""
    until = time.monotonic() + BEGUN_S
    while time.monotonic() < until and not demo.done():
        if (found := await asyncio.to_thread(training, state)) is not None:
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"no training began: {demo.result() if demo.done() else 'it takes too long'}")


def training(state: Path) -> tuple[Path, int] | None:
    """See `begun`; None: not yet."""
    for folder in state.glob("**/jobs/*/"):
        with suppress(OSError):
            if '"epoch":' in (folder / "events.jsonl").read_text() and (found := computing(folder)):
                return folder, found
    return None


def computing(folder: Path) -> int | None:
    """Of the processes of a task the one that has computed most: the others watch it."""
    numbers = [int(line.partition(" ")[0]) for line in processes(folder)]
    return max(numbers, key=lambda number: sum(computed(number).values()), default=None)


def computed(process: int) -> dict[str, int]:
    """Ticks of the processor that each thread has used, by its number."""
    found = {}
    for thread in Path(f"/proc/{process}/task").glob("*"):
        with suppress(OSError):
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            found[thread.name] = int(fields[11]) + int(fields[12])
    return found


def busy_threads(process: int) -> dict[str, int]:
    """The threads that do a good part of what a process does, with their ticks."""
    found = computed(process)
    return {thread: ticks for thread, ticks in found.items() if ticks > BUSY * sum(found.values())}


async def alternating(state: Path, task: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds that Baile takes to answer while the task is held, and while it runs; the ages of the worker's beats."""
    held: list[float] = []
    beside: list[float] = []
    ages: list[float] = []
    api = Api(StateFolder(state).running().baile)
    async with Operators.of(state) as operators:
        known = json.loads((state / "demo.json").read_text())
        await api.sign_in(known["username"], known["password"])
        try:
            for number in range(2 * ROUNDS):
                os.kill(task, signal.SIGCONT if number % 2 else signal.SIGSTOP)
                await answers(api, beside if number % 2 else held)
                ages.append(await age_of_the_last_beat(operators))
        finally:
            os.kill(task, signal.SIGCONT)
            await api.close()
    return held, beside, ages


async def answers(api: Api, into: list[float]) -> None:
    """How long each took, for a while."""
    until = time.monotonic() + SPELL_S
    while not into or time.monotonic() < until:
        began = time.monotonic()
        await api.call("GET", "/v2.0/albums")
        into.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_S)


async def age_of_the_last_beat(operators: Operators) -> float:
    """In seconds, of the platform's one worker, as Orion knows it."""
    (worker,) = (await operators.service("orion").request("GET", "/v1/workers")).json()["items"]
    return (datetime.now(UTC) - datetime.fromisoformat(worker["last_seen"])).total_seconds()
