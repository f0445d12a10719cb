"""Finished files are whole; announced names stay inside their folder."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio9_task.environment import task_environment
from studio9_task.errors import UnsafeName
from studio9_task.layout import TaskFolder
from studio9_task.outputs import new_file, write_bytes
from studio9_task.safe import open_output, output_path


def test_a_finished_file_has_its_facts(tmp_path: Path) -> None:
    written = write_bytes(tmp_path / "deep" / "model.pt", b"weights")
    assert written.path.read_bytes() == b"weights"
    assert (written.size, written.sha256) == (7, hashlib.sha256(b"weights").hexdigest())
    assert [entry.name for entry in written.path.parent.iterdir()] == ["model.pt"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write_bytes(tmp_path / "model.pt", b"old")

    def fail() -> None:
        with new_file(tmp_path / "model.pt") as new:
            new.path.write_bytes(b"ne")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("model.pt", b"old")]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "a\nb",
        "a\0b",
        "x" * 256,
        "/".join("a" * 17),
    ],
)
def test_unsafe_names(name: str) -> None:
    with pytest.raises(UnsafeName):
        output_path(name)


def test_a_name_is_not_repeated_at_length() -> None:
    for name in ("/" + "x" * 9_000, "x" * 9_000 + "/..", "\\" + "x" * 9_000, "x" * 9_000):
        with pytest.raises(UnsafeName) as refused:
            output_path(name)
        assert len(str(refused.value)) < 200


@given(st.text(max_size=40))
def test_a_name_stays_inside_or_is_refused(name: str) -> None:
    try:
        path = output_path(name)
    except UnsafeName:
        return
    assert os.path.normpath("/outputs/" + name).startswith("/outputs/")
    assert str(path) == name


def test_only_plain_files_are_opened(folder: TaskFolder) -> None:
    (folder.outputs / "a").mkdir()
    (folder.outputs / "a" / "good").write_bytes(b"good")
    (folder.root / "secret").write_bytes(b"secret")
    (folder.outputs / "link").symlink_to(folder.root / "secret")
    (folder.outputs / "linked").symlink_to(folder.root)
    os.link(folder.root / "secret", folder.outputs / "hard")
    os.mkfifo(folder.outputs / "pipe")
    with open_output(folder.outputs, "a/good") as file:
        assert file.read() == b"good"
    for name in ("link", "linked/secret", "hard", "pipe", "a", "a/good/x"):
        with pytest.raises(UnsafeName):
            open_output(folder.outputs, name)
    with pytest.raises(FileNotFoundError):
        open_output(folder.outputs, "none")


def test_a_task_gets_nothing_of_the_workers_environment(folder: TaskFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    environment = task_environment(folder, threads=3, binaries=Path("/opt/trainers/bin"))
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["PATH"].startswith("/opt/trainers/bin:")
    assert environment["HOME"] == str(folder.scratch)
