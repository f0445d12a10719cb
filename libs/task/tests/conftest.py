"""A task's folder for every test that wants one."""

from pathlib import Path

import pytest

from studio9_task.layout import TaskFolder


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    """A task's folder, empty."""
    made = TaskFolder(tmp_path / "job")
    made.make()
    return made
