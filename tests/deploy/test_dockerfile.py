"""The recipes of the images: whatever is installed is pinned, with its hash, by a lock."""

import re
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[2] / "deploy").glob("*Dockerfile"))


def installs(recipe: Path) -> list[str]:
    """Every installation's command line, continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", recipe.read_text(encoding="utf-8"))
    return re.findall(r"\S*(?:pip|uv pip) (?:install|sync) [^&;]*", text)


def test_every_installation_is_looked_at() -> None:
    assert [recipe.name for recipe in RECIPES][:1] == ["Dockerfile"]
    assert all(installs(recipe) for recipe in RECIPES)


@pytest.mark.parametrize("command", [command for recipe in RECIPES for command in installs(recipe)])
def test_an_installation_is_pinned_by_a_lock(command: str) -> None:
    """A hashed lock; or constraints (whose hashes uv checks), for what builds our own packages too; or these alone."""
    locked = "--require-hashes" in command and ".lock" in command
    built = "--no-build-isolation" in command or "--build-constraint requirements/platform.lock" in command
    chosen = "--no-deps" in command or "--constraint requirements/platform.lock" in command
    assert locked or (built and chosen), command
