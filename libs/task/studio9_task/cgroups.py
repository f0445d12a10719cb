"""What a task's own control group tells of it, in either version of control groups. Standard library only."""

from contextlib import suppress
from pathlib import Path


def cgroup_peak(folder: str | None) -> int:
    """Most bytes the control group ever held; 0 where that is not known (version 1 counts cached files too)."""
    if folder is not None:
        with suppress(OSError, ValueError):
            return int(Path(folder, "memory.peak").read_text())
    return 0


def cgroup_oom(folder: str | None) -> bool:
    """Whether the system killed a process of the control group for its memory."""
    return _count(folder, "oom_kill", "memory.events", "memory/memory.oom_control") > 0


def forks_refused(folder: str | None) -> int:
    """How often a process or thread was refused for there being too many."""
    return _count(folder, "max", "pids.events", "pids/pids.events")


def _count(folder: str | None, key: str, *names: str) -> int:
    """The number after `key` in the first of these files that is there; 0 without any."""
    if folder is not None:
        for name in names:
            with suppress(OSError, ValueError):
                counts = dict(line.split() for line in Path(folder, name).read_text().splitlines())
                return int(counts.get(key, 0))
    return 0
