"""Every test: a phase of one that hangs fails with what it waited for, instead of taking the rest along."""

import asyncio
import faulthandler
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

LIMIT_S = 600
"""Of the set-up, the call and the tear-down of a test, each: far above what the longest takes on a busy machine."""
LIMIT_SLOW_S = 3600
gc.disable()  # until the tests are collected: nothing that is loaded becomes garbage
AGAIN_S = 30
"""Between rings: what ends the event loop after a failure may hang, too."""


def waiting_for() -> str:
    """Where the tasks of the running event loop wait."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return "no event loop runs"
    return "\n".join(f"{task!r}\n{_frames(task)}" for task in tasks)


def _frames(task: asyncio.Task[object]) -> str:
    # A stack of frames stops at the outermost coroutine; the chain of awaits goes on to what it waits for.
    lines: list[str] = []
    waited: Any = task.get_coro()
    while waited is not None:
        frame = getattr(waited, "cr_frame", None) or getattr(waited, "ag_frame", None)
        if frame is not None:
            lines.append(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        waited = getattr(waited, "cr_await", None) or getattr(waited, "ag_await", None)
    return "\n".join(lines)


@contextmanager
def limited(item: pytest.Item, phase: str) -> Iterator[None]:
    """Fails what lasts longer than the limit, in the main thread, from wherever that is."""
    limit_s = LIMIT_SLOW_S if item.get_closest_marker("slow") else LIMIT_S

    def ring(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        pytest.fail(f"the {phase} of {item.nodeid} still runs after {limit_s} s\n{waiting_for()}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pytest_collection_finish() -> None:
    """Leaves modules and tests, most of a run's objects, out of every later look for garbage."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Lets the end of the process look at them: libraries tell of what they believe to be leaks."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with limited(item, "set-up"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with limited(item, "call"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with limited(item, "tear-down"):
        yield
