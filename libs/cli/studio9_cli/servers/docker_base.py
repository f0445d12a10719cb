"""The base image of containers where no registry can be reached: a small Debian by debootstrap, kept in the cache.

Its name in the cache tells what is in it: another list of packages makes another archive.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from studio9_cli.servers import packages
from studio9_cli.servers.artifacts import cached, folder_of
from studio9_cli.servers.processes import Processes

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv")
"""With venv the services' and the trainers' images can be made on it."""
LEFT_OUT = ("./dev", "./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man")
MAKE_S = 900.0
CONTENT = hashlib.sha256("\n".join((SUITE, *PACKAGES, *LEFT_OUT)).encode()).hexdigest()[:12]
NAME = f"debian-{SUITE}-{CONTENT}"


def missing() -> str | None:
    """Why the base cannot be had here, or None if it can."""
    if cached(NAME):
        return None
    if os.geteuid() != 0:
        return "the base image of containers is made by root only (debootstrap)"
    return None if shutil.which("debootstrap") else packages.installable()


def first_time() -> str:
    """What the first start has to do; empty where the base is there."""
    return "" if cached(NAME) else ", makes a base image by debootstrap (about 60 s)"


def archive(processes: Processes) -> Path:
    """The archive of its files, made where it is missing. Raises ProcessEnded."""
    if shutil.which("debootstrap") is None and not cached(NAME):
        packages.install("debootstrap")

    def fill(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="studio9-base-") as scratch:
            root = Path(scratch, "root")
            include = f"--include={','.join(PACKAGES)}"
            make: list[str | Path] = ["nice", "debootstrap", "--variant=minbase", include, SUITE, root]
            processes.run("debootstrap", make, within_s=MAKE_S, folder=folder, environment=os.environ)
            left_out = [f"--exclude={name}" for name in LEFT_OUT]
            pack: list[str | Path] = ["tar", *left_out, "-C", root, "-cf", folder / "base.tar", "."]
            processes.run("tar", pack, within_s=MAKE_S, folder=folder)

    return folder_of(NAME, fill, "making the base image of containers by debootstrap (about 60 s)") / "base.tar"
