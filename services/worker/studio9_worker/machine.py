"""What this machine has left for a task."""

import math
import os
from contextlib import suppress
from pathlib import Path


def cores() -> int:
    """Processor cores that this process may use, by its affinity and its control group's quota."""
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            allowed = min(allowed, max(1, int(quota) // int(period)))
    return allowed


def free_cores(wanted: float, load: float, available: int) -> int:
    """How many threads a task gets: the cores that nobody uses, at most those it wants, at least one.

    A busy core more or less decides: two threads on two cores beside other work ran 20 to 50 times slower than one.
    `load` is the number of cores in use; what a job does not say it `wanted` (0) counts as all.
    """
    idle = math.floor(available - load + 0.25)
    return max(1, min(idle, math.ceil(wanted) if wanted > 0 else idle))


def threads_for(wanted: float, setting: int) -> int:
    """The threads of a task that starts now; the setting decides unless it is 0."""
    return setting or free_cores(wanted, os.getloadavg()[0], cores())


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usage() -> dict[str, float]:
    """What a beat tells of the machine: cores, load (1 min), memory in GiB."""
    figures = {"cores": float(cores()), "load": round(os.getloadavg()[0], 2)}
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                key = "memory_gib" if name == "MemTotal" else "memory_free_gib"
                figures[key] = round(int(rest.split()[0]) / 1024**2, 2)
    return figures
