"""What this machine has left for a task."""

import math
import os
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

SPAN_S = 0.5
"""Shortest time over which the use of the cores is measured."""


def cores() -> int:
    """Processor cores that this process may use, by its affinity and its control group's quota, as of this second."""
    return _cores(int(time.monotonic()))


@lru_cache(1)
def _cores(second: int) -> int:
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


def threads_for(wanted: float, setting: int, load: float | None = None) -> int:
    """The threads of a task that starts now; the setting decides unless it is 0. `load` as in free_cores; None: what
    the system counts over a minute."""
    return setting or free_cores(wanted, os.getloadavg()[0] if load is None else load, cores())


class BusyCores:
    """How many cores are in use: what the system measured lately, and what was promised to tasks that begin.

    A minute's load still counts the task that has just ended, and does not yet count the one that has just begun.
    """

    def __init__(self) -> None:
        self._seen: tuple[float, float] | None = None
        self._looked: float | None = None
        self._busy: float | None = None
        self._promised: dict[object, int] = {}

    def now(self) -> float | None:
        """Cores in use, over the time since an earlier look; None where the system does not tell or at first."""
        moment = time.monotonic()
        if self._looked is None or moment - self._looked >= SPAN_S:
            self._looked = moment
            self._look()
        promised = float(sum(self._promised.values()))
        return None if self._busy is None else max(self._busy, promised)

    def _look(self) -> None:
        seen = _times()
        if seen is not None and self._seen is not None and seen[0] - self._seen[0] >= SPAN_S:
            span = seen[0] - self._seen[0]
            self._busy = (seen[1] - self._seen[1]) / span
            self._seen = seen
        self._seen = self._seen or seen

    def promise(self, key: object, threads: int) -> None:
        """A task has these from now on."""
        self._promised[key] = threads

    def release(self, key: object) -> None:
        """The task has ended."""
        self._promised.pop(key, None)


def _times() -> tuple[float, float] | None:
    """Seconds that passed, and seconds that all cores together worked, since the machine's start."""
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        user, nice, system, idle, waiting, hard, soft, stolen = (int(one) for one in fields)
    except (OSError, ValueError):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + hard + soft + stolen
    return (busy + idle + waiting) / ticks / (os.cpu_count() or 1), busy / ticks


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def temperature_c() -> float | None:
    """The hottest of the machine's sensors, in degrees Celsius; None where the system shows none."""
    found = []
    for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            found.append(int(zone.read_text()) / 1000)
    return max(found, default=None)


def usage() -> dict[str, float]:
    """What a beat tells of the machine: cores, load (1 min), memory in GiB, temperature in degrees Celsius."""
    figures = {"cores": float(cores()), "load": round(os.getloadavg()[0], 2)}
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                key = "memory_gib" if name == "MemTotal" else "memory_free_gib"
                figures[key] = round(int(rest.split()[0]) / 1024**2, 2)
    if (hottest := temperature_c()) is not None:
        figures["temperature_c"] = round(hottest, 1)
    return figures
