"""The platform's environment stays free of the machine-learning libraries; members name their files."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

from studio9_cli import locks, project

HEAVY = ("torch", "torchvision", "ultralytics", "transformers", "cv2", "studio9_trainers")


@pytest.mark.parametrize("module", HEAVY)
def test_platform_cannot_import(module: str) -> None:
    assert importlib.util.find_spec(module) is None


def test_members_leave_each_other_out_of_the_locks(tmp_path: Path) -> None:
    for member, wanted in {
        "libs/common": ["httpx>=1", "studio9-task"],
        "services/orion": ["pyyaml", "httpx>=1"],
    }.items():
        (tmp_path / member).mkdir(parents=True)
        (tmp_path / member / "pyproject.toml").write_text(f"[project]\nname='x'\ndependencies={wanted}\n")
    assert locks.requirements("platform", tmp_path) == ["httpx>=1", "pyyaml"]
    assert locks.requirements("trainers", tmp_path) == []


def test_launcher_is_posix_and_answers_fast_paths() -> None:
    launcher = str(project.root() / "studio9")
    assert subprocess.run(["sh", "-n", launcher], check=False).returncode == 0
    refused = subprocess.run([launcher, "setup", "--everything"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "--platform or --trainers" in refused.stderr
    for command, option in (("setup", "--trainers"), ("lock", "--upgrade")):
        asked = subprocess.run([launcher, command, "--help"], capture_output=True, text=True, check=False)
        assert (
            asked.returncode == 0 and asked.stdout.startswith(f"usage: studio9 {command} [") and option in asked.stdout
        )
