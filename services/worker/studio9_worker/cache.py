"""Inputs by their hash, shared read-only between the attempts of one organisation, up to a size.

A file is downloaded once, checked, made read-only and hard-linked into each task's folder; a link that a task holds
keeps the bytes when the cache lets go of them. Organisations share nothing: that one has a picture tells the other
nothing.

What was in a user's own bucket lies under what identifies it there, and serves only those who come with the same stored
credential: that one may read it opens it to no other.

Small files are not synced one by one: that costs more than to fetch them. After the machine was started anew, whatever
it had is checked once more before it is used.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from studio9_common.contracts.job import ObjectRef
from studio9_common.objects.port import ChecksumMismatch, Objects
from studio9_worker.hop import SharedHop
from studio9_worker.transfer import patiently

SMALL = 4 << 20
"""Bytes that are fetched in one request and pass through memory."""
MOST_LOST = 3
BOOT = Path("/proc/sys/kernel/random/boot_id")
SOURCES = "sources"
"""Folder of an organisation's cache for what was in users' buckets."""
MARK = "cache.boot"
"""Beside the cache: which start of the machine its files were written under."""


class InputCache:
    """See the module's docstring. `limit` is bytes."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._total = 0
        self._coming: dict[Path, asyncio.Event] = {}
        self._hop = SharedHop()
        self._doubted: set[Path] = set()
        """Written before the machine was started anew."""

    async def resize(self, limit: int) -> None:
        """Keeps at most `limit` bytes from now on."""
        self._limit = limit
        await self._shrink()

    async def open(self) -> None:
        """Finds what an earlier agent left, oldest use first; half downloads are removed."""
        self._sizes = await asyncio.to_thread(self._scan)
        self._total = sum(self._sizes.values())
        if not await asyncio.to_thread(self._same_boot):
            self._doubted = set(self._sizes)

    def _same_boot(self) -> bool:
        """Whether the machine was not started anew since the files were written; notes its present start."""
        mark = self._root.with_name(MARK)
        before, now = (path.read_text().strip() if path.exists() else "" for path in (mark, BOOT))
        self._root.mkdir(parents=True, exist_ok=True)
        mark.write_text(now)
        return before == now != ""

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
        """Puts the object at `target`, from the cache where it is there; another file in its place is replaced.

        Raises what `Objects.download` raises, ObjectsUnavailable after `patience_s`, and OSError.
        """
        path = self._root / organisation / ref.sha256[:2] / ref.sha256

        async def fetch() -> bool:
            await self._download(objects, ref, path, patience_s, target)
            return ref.size <= SMALL  # linked as it was written

        await self._bring(path, target, fetch)

    async def link_source(
        self, organisation: str, identity: str, target: Path, fetch: Callable[[Path], Awaitable[None]]
    ) -> None:
        """Puts what lies in a user's bucket at `target`. `identity` (64 hex digits) says what it is, for nobody knows
        its content's hash before it is here: place, version, and who was let in. `fetch` writes a whole, checked file
        to a path.

        Raises what `fetch` raises, and OSError.
        """
        path = self._root / organisation / SOURCES / identity

        async def fetched() -> bool:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            await fetch(path)
            self._keep_size(path, await asyncio.to_thread(_read_only, path))
            return False

        await self._bring(path, target, fetched)

    async def _bring(self, path: Path, target: Path, fetch: Callable[[], Awaitable[bool]]) -> None:
        """Links a cached file to `target`; `fetch` puts it there first where it is missing, and says whether it has
        linked it, too."""
        lost = 0
        while lost < MOST_LOST:
            if path in self._doubted:
                await self._check(path)
            if (coming := self._coming.get(path)) is not None:
                await coming.wait()  # whoever fetches it may fail for itself: then this one fetches
                continue
            if path not in self._sizes and await self._fetch(path, fetch):
                await self._shrink()
                return
            if await self._hop.do(partial(_link, path, target)):
                with suppress(KeyError):
                    self._sizes.move_to_end(path)
                await self._shrink()
                return
            # Someone removed it from the disk, or the cache let go of it between the two steps.
            self._total -= self._sizes.pop(path, 0)
            lost += 1
        raise OSError(errno.ENOENT, "the cache's folder loses files", str(path))

    async def _fetch(self, path: Path, fetch: Callable[[], Awaitable[bool]]) -> bool:
        """Fetches, while others that want the same wait."""
        self._coming[path] = asyncio.Event()
        try:
            return await fetch()
        finally:
            self._coming.pop(path).set()

    async def _download(self, objects: Objects, ref: ObjectRef, path: Path, patience_s: float, target: Path) -> None:
        if ref.size <= SMALL:
            content = await patiently(lambda: objects.get(ref.key, length=ref.size), patience_s)
            size = await self._hop.do(partial(_keep, path, content, ref, target))
        else:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            await patiently(lambda: objects.download(ref.key, path, sha256=ref.sha256), patience_s)
            size = await asyncio.to_thread(_read_only, path)
        self._keep_size(path, size)

    def _keep_size(self, path: Path, size: int) -> None:
        self._sizes[path] = size
        self._total += size

    async def _check(self, path: Path) -> None:
        """Lets go of a file that a crash of the machine has damaged, or whose name does not tell whether it has."""
        if not await asyncio.to_thread(_is_whole, path, path.name):
            await asyncio.to_thread(path.unlink, missing_ok=True)
            self._total -= self._sizes.pop(path, 0)
        self._doubted.discard(path)

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


def _keep(path: Path, content: bytes, ref: ObjectRef, target: Path) -> int:
    """Writes a checked file under its name, and links it to its first target. Raises ChecksumMismatch."""
    if (found := hashlib.sha256(content).hexdigest()) != ref.sha256:
        raise ChecksumMismatch(f"{ref.key}: the content's sha256 is {found}, announced was {ref.sha256}")
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{name}.{secrets.token_hex(8)}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        with open(handle, "wb", buffering=0) as file:
            os.fchmod(handle, 0o444)
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, "the disk took only a part", temporary)
        os.rename(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _link(path, target)
    return len(content)


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _read_only(path: Path) -> int:
    path.chmod(0o444)
    return path.stat().st_size


def _link(path: Path, target: Path) -> bool:
    """Whether `target` is there now; the use is noted in the file's time, for the next start."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.utime(path)
        try:
            os.link(path, target)
        except FileExistsError:
            if not path.samefile(target):  # of an attempt that the machine's end cut off: nobody has checked it
                target.unlink()
                os.link(path, target)
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
