"""Ends process groups when the program that started them has gone, however it went.

Runs as its own process in its own session and reads lines from a pipe whose other end only the starter holds:
`group PGID SIGNAL`, `gone PGID`, `folder PATH`. At the end of the pipe it sends each group its signal, after a grace
`SIGKILL`, and then removes the folders. Standard library only; it must start in milliseconds.
"""

import contextlib
import glob
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator

GRACE_S = 5.0


def alive(group: int) -> bool:
    """Whether a process of this group runs. Zombies do not count: where nobody reaps orphans they stay for ever."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    states = list(_states(group))
    return not states or any(state not in "ZX" for state in states)


def _states(group: int) -> Iterator[str]:
    # proc_pid_stat(5): pid (name) state parent group …; the name may hold blanks and brackets.
    for path in glob.iglob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            state, _, found = file.read().rpartition(")")[2].split()[:3]
            if int(found) == group:
                yield state


def end(groups: dict[int, int], grace_s: float = GRACE_S) -> None:
    """Sends each group its signal, waits up to `grace_s` seconds, then kills what is left."""
    for group, number in groups.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    deadline = time.monotonic() + grace_s
    while any(map(alive, groups)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in filter(alive, groups):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def watch(lines: Iterable[str]) -> None:
    """Follows the lines to their end, then ends what they left."""
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in lines:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "group":
            group, number = rest.split()
            groups[int(group)] = int(number)
        elif word == "gone":
            groups.pop(int(rest), None)
        elif word == "folder":
            folders.append(rest)
    end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.stdin)
