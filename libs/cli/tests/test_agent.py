"""What `studio9 worker` keeps between its calls, and the pages of members and machines."""

import argparse
import os
import stat
from pathlib import Path

import pytest

from studio9_cli.agent.folder import AgentFolder, AgentOptions, NoAgent, RunningAgent, is_agent
from studio9_cli.agent.process import environment
from studio9_cli.commands import worker
from studio9_cli.main import main
from studio9_cli.operators.worker_page import history_page, member_list

T = "2026-11-21T10:00:00.000000Z"


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    worker.add_arguments(parser)
    return parser.parse_args(words)


def test_a_later_start_keeps_what_an_earlier_one_was_told(tmp_path: Path) -> None:
    folder = AgentFolder(tmp_path)
    assert folder.options() == AgentOptions()
    first = worker._options(folder.options(), parsed("up", "--slots", "3", "--labels", "a", "--mount-trainers"))
    folder.keep(first)
    again = worker._options(folder.options(), parsed("up", "--labels", "b"))
    assert (again.slots, again.labels, again.mount_trainers) == (3, "b", True)
    assert stat.S_IMODE((tmp_path / "options.json").stat().st_mode) == 0o600
    told = environment(folder, again, 4242)
    assert told["STUDIO9_WORKER_CPU_SLOTS"] == "3" and told["STUDIO9_WORKER_MOUNT_TRAINERS"] == "true"
    assert (told["STUDIO9_STATE_DIR"], told["STUDIO9_PORT"]) == (str(tmp_path), "4242")
    assert "STUDIO9_WORKER_TASK_IMAGE" not in AgentOptions().environment(), "the worker's own default holds"


def test_another_process_is_not_taken_for_the_agent(tmp_path: Path) -> None:
    folder = AgentFolder(tmp_path)
    with pytest.raises(NoAgent):
        folder.running()
    folder.started(RunningAgent(os.getppid(), 1))
    assert not is_agent(os.getppid())
    with pytest.raises(NoAgent):
        folder.running()
    folder.forget()
    folder.forget()


@pytest.mark.parametrize("words", [("scale", "65"), ("scale", "2"), ("down",), ("status",), ("up",)])
def test_what_cannot_be_done_says_why(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", *words, "--state", str(tmp_path / "none")]) == 1
    assert "studio9: " in capsys.readouterr().err


def test_a_token_needs_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "up", "--join", "s9join.a.b", "--state", str(tmp_path / "w")]) == 1
    assert "--url" in capsys.readouterr().err


def test_members_and_their_machines_are_shown() -> None:
    line = {"time": T, "event": "joined", "by": "gpu-1"}
    member = {"worker": "gpu-1", "state": "joined", "expires_at": T, "history": [{**line, "event": "invited"}, line]}
    page = member_list([member])
    assert "joined by gpu-1" in page and "2026-11-21 10:00:00" in page
    assert member_list([]) == "nobody was invited"
    points = [{"time": T, "machine": {"load": 0.5}}, {"time": T, "machine": {"load": 1.0, "gpu_0_temperature_c": 61.0}}]
    shown = history_page(points).splitlines()
    assert "GPU_0_TEMPERATURE_C" in shown[0] and "61" in shown[2] and len(shown) == 3
    assert history_page([]) == "nothing was measured"
