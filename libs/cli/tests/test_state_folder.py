import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from studio9_cli.platform.state import AlreadyRunning, NotRunning, Running, StateFolder


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    first = folder.secrets()
    assert StateFolder(tmp_path / "state").secrets() == first
    assert stat.S_IMODE((tmp_path / "state" / "secrets.json").stat().st_mode) == 0o600
    assert StateFolder(tmp_path / "other").secrets() != first


def test_one_platform_per_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with pytest.raises(NotRunning):
        folder.running()
    with folder.hold():
        here = Running(pid=1, baile="http://127.0.0.1:1", operators="http://127.0.0.1:2")
        folder.announce(here)
        assert folder.running() == here
        with pytest.raises(AlreadyRunning), StateFolder(tmp_path).hold():
            pass
    with pytest.raises(NotRunning):
        folder.running()


def test_a_killed_platform_counts_as_not_running(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from studio9_cli.platform.state import *;"
        "folder = StateFolder(pathlib.Path(sys.argv[1])); held = folder.hold(); held.__enter__();"
        "folder.announce(Running(os.getpid(), 'a', 'b')); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert json.loads((tmp_path / "running.json").read_text())["baile"] == "a"
    with pytest.raises(NotRunning):
        StateFolder(tmp_path).running()
    with StateFolder(tmp_path).hold(), pytest.raises(NotRunning):
        StateFolder(tmp_path).running()
