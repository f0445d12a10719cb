"""The processes that a task made, found through the system's process table. Standard library only."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PAGE = resource.getpagesize()


def adopt_orphans() -> None:
    """Make this process the parent of whatever its descendants leave behind, so that none can slip away."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def close_to_others() -> None:
    """Let no other process of this user read this one's memory or reach its open files."""
    _prctl(PR_SET_DUMPABLE, 0)


def die_with(parent: int) -> Callable[[], None]:
    """A function for a fresh child: the system kills it when its parent (this process's id) dies."""
    prctl = _prctl

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


def descendants(root: int) -> list[int]:
    """The processes below `root`, without itself."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = list(_children(waiting.pop()))
        found += below
        waiting += below
    return found


def private_memory(processes: list[int]) -> int:
    """Bytes that processes hold and share with no file, added up."""
    total = 0
    for process in processes:
        with suppress(OSError, ValueError, IndexError):
            _, resident, shared = Path(f"/proc/{process}/statm").read_text().split()[:3]
            total += (int(resident) - int(shared)) * PAGE
    return total


def kill(processes: list[int], number: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _children(parent: int) -> Iterator[int]:
    try:
        for thread in os.listdir(f"/proc/{parent}/task"):
            yield from map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
    except FileNotFoundError:
        if Path("/proc/self/task").is_dir() and not Path(f"/proc/self/task/{os.getpid()}/children").exists():
            yield from _children_by_search(parent)
    except (OSError, ValueError):
        return


def _children_by_search(parent: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The name in brackets may hold anything: count from its end.
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    yield int(entry)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None, use_errno=True)
"""Loaded here, not in the child: between fork and exec nothing may be imported."""
