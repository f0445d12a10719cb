"""Inputs by their hash, shared read-only between the attempts of one organisation, up to a size.

A file is downloaded once, checked, made read-only and hard-linked into each task's folder; a link that a task holds
keeps the bytes when the cache lets go of them. Organisations share nothing: that one has a picture tells the other
nothing.
"""

import asyncio
import errno
import os
import shutil
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from studio9_common.contracts.job import ObjectRef
from studio9_common.objects.port import Objects
from studio9_worker.transfer import patiently


class InputCache:
    """See the module's docstring. `limit` is bytes."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._total = 0
        self._coming: dict[Path, asyncio.Task[None]] = {}

    async def resize(self, limit: int) -> None:
        """Keeps at most `limit` bytes from now on."""
        self._limit = limit
        await self._shrink()

    async def open(self) -> None:
        """Finds what an earlier agent left, oldest use first; half downloads are removed."""
        self._sizes = await asyncio.to_thread(self._scan)
        self._total = sum(self._sizes.values())

    def _scan(self) -> OrderedDict[Path, int]:
        found = []
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                if name.startswith("."):
                    path.unlink(missing_ok=True)
                    continue
                status = path.stat()
                found.append((status.st_mtime, path, status.st_size))
        return OrderedDict((path, size) for _, path, size in sorted(found))

    async def link(self, objects: Objects, organisation: str, ref: ObjectRef, target: Path, patience_s: float) -> None:
        """Puts the object at `target`, from the cache where it is there; a target that is there stays.

        Raises what `Objects.download` raises, ObjectsUnavailable after `patience_s`, and OSError.
        """
        path = self._root / organisation / ref.sha256[:2] / ref.sha256
        for _ in range(3):
            if path not in self._sizes:
                await self._fetch(objects, ref, path, patience_s)
            if await asyncio.to_thread(_link, path, target):
                with suppress(KeyError):
                    self._sizes.move_to_end(path)
                await self._shrink()
                return
            # Someone removed it from the disk, or the cache let go of it between the two steps.
            self._total -= self._sizes.pop(path, 0)
        raise OSError(errno.ENOENT, "the cache's folder loses files", str(path))

    async def _fetch(self, objects: Objects, ref: ObjectRef, path: Path, patience_s: float) -> None:
        """Downloads once however many ask for it."""
        task = self._coming.get(path)
        if task is None:
            task = asyncio.create_task(self._download(objects, ref, path, patience_s))
            self._coming[path] = task
            task.add_done_callback(lambda done: self._arrived(path, done))
        await asyncio.shield(task)

    async def _download(self, objects: Objects, ref: ObjectRef, path: Path, patience_s: float) -> None:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await patiently(lambda: objects.download(ref.key, path, sha256=ref.sha256), patience_s)
        size = await asyncio.to_thread(_read_only, path)
        self._sizes[path] = size
        self._total += size

    def _arrived(self, path: Path, task: asyncio.Task[None]) -> None:
        del self._coming[path]
        if not task.cancelled():
            task.exception()  # whoever waited has it; a waiter that was cancelled must not leave a warning

    async def _shrink(self) -> None:
        """Lets go of what was not used for longest until the rest fits."""
        gone = []
        while self._total > self._limit and self._sizes:
            path, size = self._sizes.popitem(last=False)
            self._total -= size
            gone.append(path)
        if gone:
            await asyncio.to_thread(_remove, gone)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _read_only(path: Path) -> int:
    path.chmod(0o444)
    return path.stat().st_size


def _link(path: Path, target: Path) -> bool:
    """Whether `target` is there now; the use is noted in the file's time, for the next start."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.utime(path)
        os.link(path, target)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        _copy(path, target)
    return True


def _copy(path: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(path, temporary)
    temporary.chmod(0o444)
    temporary.rename(target)
