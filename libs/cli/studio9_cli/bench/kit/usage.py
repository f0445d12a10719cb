"""What processes cost: CPU seconds and memory, with all their children, from /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the process began, those of its ended children included; resident MiB."""

    cpu_s: float
    mib: float


def usage(pid: int) -> Usage:
    """Of a process and its children. Zero for one that is gone."""
    cpu_s, pages = 0.0, 0
    for one in [pid, *_descendants(pid)]:
        try:
            fields = (_PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            pages += int((_PROC / str(one) / "statm").read_text().split()[1])
        except OSError:
            continue
        cpu_s += sum(map(int, fields[11:15])) * _TICK_S
    return Usage(cpu_s, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def total(pids: Iterable[int]) -> Usage:
    """Of several processes together."""
    each = [usage(pid) for pid in pids]
    return Usage(sum(one.cpu_s for one in each), sum(one.mib for one in each))


def server_pid(url: str) -> int | None:
    """The process on this machine that listens at an address; None for a server elsewhere, or one that is not ours
    to look at."""
    port = urlsplit(url).port
    if port is None:
        return None
    sockets = set(_sockets(port))
    for process in _PROC.glob("[0-9]*"):
        if sockets & set(_files(process)):
            return int(process.name)
    return None


def _files(process: Path) -> Iterable[str]:
    """What a process has open, as far as we may look."""
    with suppress(OSError):
        for file in (process / "fd").iterdir():
            with suppress(OSError):  # closed in the meantime
                yield os.readlink(file)


def _sockets(port: int) -> Iterable[str]:
    for name in ("tcp", "tcp6"):
        table = _PROC / "net" / name
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _descendants(pid: int) -> list[int]:
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return []
    found: list[int] = []
    for task in tasks:
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found
