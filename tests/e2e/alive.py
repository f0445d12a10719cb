"""What is left of a platform on this machine, seen from outside: its processes, its ports."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit


def processes(folder: Path) -> list[str]:
    """The processes that work on a folder: their command line names it, or they stand in it. Not this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if str(folder) in command or (entry / "cwd").readlink().is_relative_to(folder):
                found.append(f"{entry.name} {command}")
        except OSError:
            continue  # it ended while we looked
    return found


def answering(addresses: Iterable[str]) -> list[str]:
    """Those addresses whose port somebody listens on."""
    found = []
    for address in addresses:
        place = urlsplit(address)
        with socket.socket() as probe:
            if probe.connect_ex((place.hostname or "", place.port or 0)) == 0:
                found.append(address)
    return found
