"""What hangs: a test under the guard of the repository's `conftest.py`, and a whole part under the runner's limit."""

import os
import subprocess
import sys
from pathlib import Path

from studio9_cli import project
from studio9_cli.testing.parts import Part
from studio9_cli.testing.results import Result
from studio9_cli.testing.runner import Runner

STUCK = """
import asyncio

import pytest


async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


@pytest.fixture
async def beside():
    task = asyncio.create_task(stubborn(), name="stubborn")
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_that_leaves_a_task(beside):
    pass


async def test_that_waits_for_nothing():
    await asyncio.Event().wait()


async def test_that_passes():
    pass
"""


def test_a_test_that_hangs_fails_alone_and_says_where(tmp_path: Path) -> None:
    guard = (project.root() / "conftest.py").read_text(encoding="utf-8")
    for name, value in (("LIMIT_S = 600", "LIMIT_S = 1"), ("AGAIN_S = 30", "AGAIN_S = 0.5")):
        assert name in guard
        guard = guard.replace(name, value)
    (tmp_path / "conftest.py").write_text(guard, encoding="utf-8")
    (tmp_path / "test_stuck.py").write_text(STUCK, encoding="utf-8")
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    run = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert "1 failed, 2 passed, 1 error" in run.stdout, run.stdout + run.stderr
    assert "the call of test_stuck.py::test_that_waits_for_nothing still runs after 1 s" in run.stdout
    assert "the tear-down of test_stuck.py::test_that_leaves_a_task still runs after 1 s" in run.stdout
    assert "name='stubborn'" in run.stdout


def test_a_part_over_the_limit_is_ended(tmp_path: Path) -> None:
    test = tmp_path / "test_long.py"
    test.write_text("import time\n\n\ndef test_that_lasts():\n    time.sleep(600)\n", encoding="utf-8")
    told: list[Result] = []
    runner = Runner(pytest_options=["-p", "no:cacheprovider", f"--rootdir={tmp_path}"], limit_s=1, say=told.append)
    part = Part("long", "platform", (os.fspath(test),))
    results, servers = runner.run([part], checks=False)
    assert (results[0].failures, servers) == (["the time limit was reached"], [])
    assert told == results
