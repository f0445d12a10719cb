"""A file system of its own for what a task writes: as large as the task's limit, and no file can hide from that.

An image file (sparse, ext4 without a journal) is mounted through a loop device beside the task's folder, and what the
task writes to in its folder (outputs, scratch, events, log) is bound to it, so that everybody finds it where it always
lies. Mounts belong to the machine, not to the agent: a successor finds them. Root only, and only where the engine sees
what the agent mounts (an agent in a container mounts for itself alone). Everything blocks.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_worker.runners.engine import Engine, Image
from studio9_worker.runners.port import RunnerError

MOUNTS = Path("/proc/self/mountinfo")
MOST_FILES = 200_000
BYTES_PER_FILE = 16_384
"""Inodes that a file system has: one for so many bytes, up to MOST_FILES."""
FULL_BELOW, FULL_SHARE, FULL_AT_MOST = 1 << 20, 0.02, 64 << 20
"""What is left of a file system that is as good as full: bytes, or a part of it up to so many bytes."""
WITHIN_S = 60.0
PROBE_BYTES = 4 << 20


class Disks:
    """Makes, finds and removes them below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def make(self, folder: TaskFolder, size: int, user: tuple[int, int]) -> None:
        """Gives what `user` writes in the task's folder a file system of `size` bytes; one that is there stays.

        Raises RunnerError.
        """
        image = self._image(folder)
        if not image.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            new = image.with_suffix(".new")
            with new.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.truncate(size)
            files = max(64, min(MOST_FILES, size // BYTES_PER_FILE))
            options = ["-m", "0", "-N", str(files), "-O", "^has_journal,^resize_inode", "-E", "nodiscard"]
            _run("mkfs.ext4", "-q", "-F", *options, str(new))
            new.rename(image)
        self.find(folder)
        for _, inside in self._places(folder):
            os.chown(inside, *user, follow_symlinks=False)

    def find(self, folder: TaskFolder) -> None:
        """Mounts a file system again that the machine's end has unmounted; nothing where there is none."""
        image = self._image(folder)
        place = image.with_suffix("")
        if not image.exists():
            return
        mounted = mounts().keys()
        if place not in mounted:
            place.mkdir(exist_ok=True)
            _run("mount", "-o", "loop,nosuid,nodev", str(image), str(place))
        for target, inside in self._places(folder):
            if target in mounted:
                continue
            is_folder = target in (folder.outputs, folder.scratch)
            for path in (target, inside):
                if is_folder:
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.touch(exist_ok=True)
            _run("mount", "--bind", str(inside), str(target))

    def full(self, folder: TaskFolder) -> bool:
        """Whether the task has filled its file system, with files that have names or with others."""
        try:
            room = os.statvfs(self._image(folder).with_suffix(""))
        except OSError:
            return False
        least = max(FULL_BELOW, min(FULL_AT_MOST, FULL_SHARE * room.f_blocks * room.f_frsize))
        return self.has(folder) and (room.f_bavail * room.f_frsize < least or room.f_favail == 0)

    def has(self, folder: TaskFolder) -> bool:
        """Whether the task's folder has a file system of its own."""
        return self._image(folder).exists()

    def names(self) -> tuple[str, ...]:
        """Those of the task folders that have one."""
        return tuple(sorted(path.name.removesuffix(".disk") for path in self._root.glob("*.disk")))

    def remove(self, name: str) -> None:
        """Unmounts and removes that of a task folder of this name; one that is not there is left alone.

        Raises RunnerError.
        """
        image = self._root / f"{name}.disk"
        place, mounted = image.with_suffix(""), mounts()
        if (device := mounted.get(place)) is not None:
            # Lazily: whoever still looks into it must not keep it here.
            for path in sorted((path for path, one in mounted.items() if one == device), reverse=True):
                _run("umount", "-l", str(path))
        with suppress(FileNotFoundError):
            place.rmdir()
        image.unlink(missing_ok=True)
        image.with_suffix(".new").unlink(missing_ok=True)

    def _image(self, folder: TaskFolder) -> Path:
        return self._root / f"{folder.root.name}.disk"

    def _places(self, folder: TaskFolder) -> list[tuple[Path, Path]]:
        """What the task writes to, and where that is inside its file system."""
        inside = self._image(folder).with_suffix("")
        return [(path, inside / path.name) for path in (folder.outputs, folder.scratch, folder.events, folder.log)]


def usable(root: Path, engine: Engine, image: Image, name: str) -> Disks | str:
    """Disks below `root`, or why there can be none; tried with a container called `name`, which is never started."""
    if os.geteuid() != 0:
        return "the agent is not root"
    disks, probe = Disks(root), TaskFolder(root / "trial" / "probe")
    try:
        probe.make()
        disks.make(probe, PROBE_BYTES, (0, 0))
        (probe.outputs / "mark").touch()
        if not engine.sees(name, image, probe.outputs, "mark"):
            return "the engine does not see what the agent mounts"
    except RunnerError as error:
        return error.message
    finally:
        with suppress(RunnerError):
            disks.remove(probe.root.name)
        shutil.rmtree(root / "trial", ignore_errors=True)
    return disks


def in_words(found: Disks | str) -> str:
    """For a person: what limits the disk that a task may use."""
    if isinstance(found, Disks):
        return "a file system of its own"
    return f"file size and usage polling: {found}"


def mounts() -> dict[Path, str]:
    """Where something is mounted: the place, and the device (`7:0`)."""
    found = {}
    for line in MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split()
        found[Path(fields[4].replace("\\040", " ").replace("\\134", "\\"))] = fields[2]
    return found


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WITHIN_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunnerError(f"{command[0]} failed: {error}") from None
    if done.returncode:
        raise RunnerError(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
