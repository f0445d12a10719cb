"""The recipe of the images: whatever is installed is pinned, with its hash, by a lock."""

import re
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "deploy/Dockerfile"


def installs() -> list[str]:
    """Every installation's command line, continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", RECIPE.read_text(encoding="utf-8"))
    return re.findall(r"\S*(?:pip|uv pip) (?:install|sync) [^&;]*", text)


def test_every_installation_is_looked_at() -> None:
    """uv itself; a service; the trainers' packages, and our own two among them."""
    assert len(installs()) == 4


@pytest.mark.parametrize("command", installs())
def test_an_installation_is_pinned_by_a_lock(command: str) -> None:
    """`--require-hashes` on a lock, constraints (whose hashes uv checks) for the build too, or nothing from outside."""
    locked = "--require-hashes" in command and ".lock" in command
    constrained = all(
        f"{option} requirements/platform.lock" in command for option in ("--constraint", "--build-constraint")
    )
    ours = "--no-deps --no-build-isolation" in command
    assert locked or constrained or ours, command
