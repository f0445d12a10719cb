"""The demo as a user runs it: on the embedded platform, in a process of its own, from an empty folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from studio9_cli.demo.journey import EPOCHS
from studio9_cli.demo.runner import DemoOptions, run_demo
from studio9_cli.demo.show import Silent
from studio9_cli.platform.state import NotRunning, StateFolder
from studio9_cli.project import root

from .alive import processes


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, trainers_python: Path) -> Iterator[Path]:
    """A state folder; at the end nothing may run on it any more."""
    assert trainers_python.exists()
    folder = tmp_path_factory.mktemp("demo") / "state"
    yield folder
    with pytest.raises(NotRunning):
        StateFolder(folder).running()
    assert not processes(folder)


async def test_the_whole_journey_learns_and_adds_up(state: Path) -> None:
    show = Silent()
    figures, error = await run_demo(DemoOptions(state=state, port=0), show)
    assert not error, error
    assert figures["map50"] >= 0.85
    assert figures["recall_at_025"] >= 0.8
    assert figures["live_epochs"] == EPOCHS
    assert figures["predictions"] > 100
    assert figures["online_predictions"] > 50
    assert figures["notifications"] >= 1
    assert figures["warehouse_rows"] == figures["predictions"] + figures["online_predictions"]


async def test_a_second_run_on_the_same_folder_adds_to_it(state: Path) -> None:
    options = DemoOptions(state=state, port=0, pages=16, epochs=1, confidence=0.001)
    figures, error = await run_demo(options, Silent())
    assert not error, error
    assert figures["warehouse_rows"] == figures["predictions"] + figures["online_predictions"] > 0


def test_ctrl_c_leaves_nothing_running_and_the_next_start_is_well(state: Path) -> None:
    command = [sys.executable, "-P", "-m", "studio9_cli", "up", "--state", str(state), "--port", "0"]
    for again in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(command, cwd=root(), stderr=subprocess.PIPE, start_new_session=True)
        try:
            address = wait_for(state, process)
            assert httpx.get(f"{address}/ready", timeout=10).status_code == 200
        finally:
            os.kill(process.pid, again)
            _, text = process.communicate(timeout=30)
        wanted = -signal.SIGKILL if again == signal.SIGKILL else 0
        assert process.returncode == wanted, text.decode()


def wait_for(state: Path, process: "subprocess.Popen[bytes]") -> str:
    """Baile's address, once it answers."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            return StateFolder(state).running().baile
        except NotRunning:
            time.sleep(0.1)
    raise AssertionError("the platform did not start")
