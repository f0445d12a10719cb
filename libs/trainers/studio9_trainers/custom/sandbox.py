"""Whether this process is sealed off, judged by what it can do, not by what it is told."""

import os
from pathlib import Path


def open_doors(proc: Path = Path("/proc"), net: Path = Path("/sys/class/net"), root: Path = Path("/")) -> list[str]:
    """Why code that nobody has read must not run here; empty in a task's container.

    A task's container has no network, a root that it can't write, and no capability.
    """
    doors = []
    if not net.is_dir() or any(one.name != "lo" for one in net.iterdir()):
        doors.append("there is a network")
    if not os.statvfs(root).f_flag & os.ST_RDONLY:
        doors.append("the root can be written")
    lines = (proc / "self" / "status").read_text(encoding="utf-8").splitlines()
    effective = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "f")
    if int(effective, 16) != 0:
        doors.append("it has capabilities")
    return doors
