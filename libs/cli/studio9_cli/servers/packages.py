"""System packages, on Debian-like systems and for root only; announced before they are installed."""

import os
import pwd
import shutil
import subprocess
import sys
import threading

from studio9_cli.servers.processes import ProcessEnded, User

_one_at_a_time = threading.Lock()


def installable() -> str | None:
    """Why system packages cannot be installed here, or None if they can."""
    if shutil.which("apt-get") is None:
        return "system packages are installed on Debian-like systems only"
    if os.geteuid() != 0:
        return "system packages are installed by root only"
    return None


def install(package: str) -> None:
    """Installs one package with apt-get. Raises `ProcessEnded`."""
    install_it = ("install", "--no-install-recommends", package)
    with _one_at_a_time:
        print(f"studio9: installing the system package {package} (as root, with apt-get)", file=sys.stderr, flush=True)
        if _apt(*install_it).returncode:
            _apt("update")
            done = _apt(*install_it)
            if done.returncode:
                raise ProcessEnded(f"apt-get could not install {package}:\n{done.stdout[-2000:]}")


def _apt(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # Never ended half-way: that leaves the package system to be mended by hand.
    return subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-y", "-q", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        start_new_session=True,
    )


def run_as(*names: str) -> User | None:
    """The first of these users that exists, for a server that refuses root; None where we are not root anyway."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ProcessEnded(f"none of the users {', '.join(names)} exists; the server refuses to run as root")


def give(path: str | os.PathLike[str], user: User | None) -> None:
    """Makes a folder and all in it belong to the user."""
    if user is None:
        return
    os.chown(path, user.uid, user.gid)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), user.uid, user.gid, follow_symlinks=False)
