"""Logs: one form for our own lines and those of libraries, no secrets, no flood."""

import json
import subprocess
import sys

import pytest
import structlog
from structlog.testing import capture_logs

from studio9_common.errors import Unavailable
from studio9_common.http import app

PROGRAM = """
import logging
from studio9_common.logs import configure_logs, logger
configure_logs()
logger("probe").info("hello", password="p", organisation="acme")
logging.getLogger("some.library").warning("the %s is gone", "queue")
logging.getLogger("some.library").info("chatter")
"""


def test_libraries_speak_json_too() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE, check=True).stderr
    ours, theirs = map(json.loads, told.splitlines())
    assert (ours["event"], ours["service"], ours["password"]) == ("hello", "probe", "[redacted]")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("the queue is gone", "some.library", "warning")
    assert ours["timestamp"][:11] == theirs["timestamp"][:11]


def test_what_fails_again_and_again_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as lines:
        failures = app.Failures(structlog.get_logger())
        for _ in range(50):
            failures.note(Unavailable("the store is away"))
        monkeypatch.setattr(app, "QUIET_S", 0.0)
        failures.note(Unavailable("the store is away"))
    assert [line["left_out"] for line in lines] == [0, 49]
