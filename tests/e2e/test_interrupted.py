"""The embedded platform dies, or is told to stop, in the middle of a real training; the next start goes on with it."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.demo import runner, waiting
from studio9_cli.demo.api import Api
from studio9_cli.demo.journey import Journey
from studio9_cli.demo.runner import DemoOptions, pages_of
from studio9_cli.demo.show import Silent
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.state import NotRunning, Running, StateFolder

from .alive import answering, processes

PAGES, EPOCHS, CONFIDENCE = 32, 8, 0.001
SEEN = 2
"""Epochs that are over when the blow falls."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A running `studio9 up`: its process, where it answers, and a signed-in user."""

    process: "subprocess.Popen[bytes]"
    running: Running
    api: Api
    operators: Operators

    async def job(self, id: str) -> dict[str, Any]:
        """What Orion knows of a job."""
        response = await self.operators.service("orion").request("GET", f"/v1/jobs/{id}")
        return dict(response.json())


class House:
    """A state folder on which platforms are started one after the other, always on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[str, Any] = {}
        self.albums: dict[str, str] = {}
        self._options = DemoOptions(state=folder, port=free_port())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Platform]:
        """A platform, until it is ended or the block is."""
        process, running = await runner.start(self._options)
        assert process is not None, "another platform runs on this folder"
        api = Api(running.baile)
        try:
            async with Operators.of(self.folder) as operators:
                await runner.sign_in(api, operators, StateFolder(self.folder))
                yield Platform(process, running, api, operators)
        finally:
            await api.close()
            await asyncio.to_thread(runner.stop, process)

    async def furnish(self, platform: Platform, scratch: Path) -> None:
        """Albums to train and test on, made once."""
        if not self.albums:
            self.pages = await asyncio.to_thread(pages_of, scratch, PAGES)
            journey = self.journey(platform)
            await journey.albums()
            self.albums = journey.album_ids

    def journey(self, platform: Platform) -> Journey:
        around = runner.surroundings(self.folder, platform.operators, "")
        made = Journey(platform.api, Silent(), self.pages, around, epochs=EPOCHS, confidence=CONFIDENCE)
        made.album_ids = self.albums
        return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, trainers_python: Path) -> House:
    assert trainers_python.exists()
    return House(tmp_path_factory.mktemp("interrupted") / "state")


async def begun(platform: Platform, journey: Journey) -> tuple[str, str]:
    """A training whose first epochs are over and kept, and which still goes on: its experiment and its job."""
    experiment = (await platform.api.post("/v2.0/experiments", journey.experiment()))["id"]

    async def epochs() -> str | None:
        listed = await platform.api.get(f"/v2.0/experiments/{experiment}/process")
        job = await platform.api.get(f"/v1/jobs/{listed['id']}")
        assert job["status"] in ("QUEUED", "RUNNING"), job
        # The user sees an epoch before its checkpoint has been stored, from which another attempt would go on.
        kept = (await platform.job(job["id"]))["checkpoint"] is not None
        return str(job["id"]) if kept and job.get("epoch", 0) >= SEEN else None

    found = await waiting.until("the first epochs", epochs, timeout_s=300, every_s=0.1)
    return experiment, str(found)


async def ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit status of a process that has been told to stop."""
    return await asyncio.to_thread(process.wait, 30)


@pytest.mark.parametrize(
    ("blow", "outcomes"),
    [
        pytest.param(signal.SIGKILL, ["succeeded"], id="kill-9: the task goes on alone and is found again"),
        pytest.param(signal.SIGINT, ["failed", "succeeded"], id="ctrl-c: the task is stopped, and resumed"),
        pytest.param(signal.SIGTERM, ["failed", "succeeded"], id="sigterm: the task is stopped, and resumed"),
    ],
)
async def test_a_training_survives(house: House, tmp_path: Path, blow: signal.Signals, outcomes: list[str]) -> None:
    async with house.open() as platform:
        await house.furnish(platform, tmp_path)
        experiment, job = await begun(platform, house.journey(platform))
        before = await platform.job(job)
        addresses = (platform.running.baile, platform.running.operators)
        assert answering(addresses) == list(addresses)
        # Ctrl-C reaches the terminal's whole foreground group, the others the process they are sent to.
        if blow == signal.SIGINT:
            os.killpg(platform.process.pid, blow)
        else:
            platform.process.send_signal(blow)
        assert await ended(platform.process) == (-signal.SIGKILL if blow == signal.SIGKILL else 0)
    assert not answering(addresses)
    with pytest.raises(NotRunning):
        StateFolder(house.folder).running()
    left = processes(house.folder)
    if blow == signal.SIGKILL:
        assert left and all("studio9_cli up" not in line for line in left), "the task, and nothing else, goes on"
    else:
        assert not left
    assert [attempt["outcome"] for attempt in before["attempts"]] == [None]

    async with house.open() as platform:
        done = await waiting.status(platform.api, "experiments", experiment, "COMPLETED", timeout_s=400)
        after = await platform.job(job)
        assert after["state"] == "completed"
        assert [attempt["outcome"] for attempt in after["attempts"]] == outcomes
        assert [attempt["fence"] for attempt in after["attempts"]] == [n + 1 for n in range(len(outcomes))]
        assert after["fence"] == len(outcomes)
        await check_result(platform, job, done, resumed=len(outcomes) > 1)
    assert not answering(addresses)
    await waiting.until("the last process to be reaped", nothing_left(house), timeout_s=5, every_s=0.05)


def nothing_left(house: House) -> Callable[[], Awaitable[bool]]:
    """Whether no process works on the state folder any more."""

    async def look() -> bool:
        return not processes(house.folder)

    return look


async def check_result(platform: Platform, job: str, experiment: dict[str, Any], *, resumed: bool) -> None:
    """Every epoch was trained and measured, the whole model evaluated, and the assets say the same."""
    result = await platform.api.get(f"/v1/jobs/{job}/result")
    assert result["epochs_done"] == result["epochs"] == EPOCHS
    before = result.get("resumed_from") or 0
    assert 1 <= before < EPOCHS if resumed else before == 0, before
    assert not result["stopped"]
    measured = await platform.api.get(f"/v1/jobs/{job}/metrics")
    steps = sorted(one["step"] for one in measured if (one["key"], one["split"]) == ("learning_rate", "train"))
    assert set(steps) == set(range(1, EPOCHS + 1))
    assert resumed or len(steps) == EPOCHS, "nothing is told twice"
    assert result["test"]["per_class"]
    summary = experiment["result"]["step1"]["testSummary"]
    assert summary["mAP"] == pytest.approx(result["test"]["map50"], abs=1e-6)
