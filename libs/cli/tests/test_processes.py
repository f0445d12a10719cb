"""Child processes end with their starter, and their failures are told with their log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from studio9_cli.servers.processes import ProcessEnded, Processes
from studio9_cli.servers.watchdog import alive

# A parent with a child of its own, which both ignore SIGTERM if asked to.
STUBBORN = "trap '' TERM; sleep 60 & wait; sleep 60"
STARTER = """
import sys, pathlib, time
from studio9_cli.servers.processes import Processes
folder = pathlib.Path(sys.argv[1])
keeper = Processes()
keeper.remove_at_end(folder)
process = keeper.spawn("sleeper", ["sh", "-c", "sleep 60 & wait"], log=folder / "log", environment={}, folder=folder)
print(process.popen.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def processes() -> Iterator[Processes]:
    keeper = Processes()
    yield keeper
    keeper.close()


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def shell(processes: Processes, folder: Path, script: str):  # type: ignore[no-untyped-def]
    return processes.spawn("script", ["sh", "-c", script], log=folder / "log", environment={}, folder=folder)


def test_stop_ends_the_whole_group(processes: Processes, tmp_path: Path) -> None:
    process = shell(processes, tmp_path, "sleep 60 & wait")
    assert alive(process.popen.pid)
    processes.stop(process)
    assert not alive(process.popen.pid)


def test_stubborn_processes_are_killed(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio9_cli.servers.watchdog.end.__defaults__", (0.2,))
    process = shell(processes, tmp_path, STUBBORN)
    processes.stop(process)
    assert not alive(process.popen.pid)


def test_nothing_outlives_a_killed_starter(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with starter:
        assert starter.stdout is not None
        group = int(starter.stdout.readline())
        assert alive(group)
        starter.send_signal(signal.SIGKILL)
    assert eventually(lambda: not alive(group))
    assert eventually(lambda: not folder.exists())


def test_early_end_is_reported_with_the_log(processes: Processes, tmp_path: Path) -> None:
    process = shell(processes, tmp_path, "echo the port is taken; exit 3")
    with pytest.raises(ProcessEnded, match=r"(?s)status 3.*the port is taken"):
        process.wait_until(lambda: False, within_s=10)


def test_helpers_fail_with_their_output_or_their_time(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ProcessEnded, match="no disk left"):
        processes.run("helper", ["sh", "-c", "echo no disk left >&2; exit 1"], within_s=10, folder=tmp_path)
    with pytest.raises(ProcessEnded, match="longer than"):
        processes.run("helper", ["sleep", "60"], within_s=0.1, folder=tmp_path)
    with pytest.raises(ProcessEnded, match="cannot be run"):
        processes.run("helper", ["/nowhere/program"], within_s=1, folder=tmp_path)


def test_nothing_starts_after_the_end(tmp_path: Path) -> None:
    keeper = Processes()
    keeper.close()
    with pytest.raises(ProcessEnded, match="ending"):
        keeper.run("late", ["true"], within_s=1, folder=tmp_path)
