"""A watched folder that behaves like a bucket: each finished file becomes one object-created event in a queue.

A file is finished when its size and modification time were the same in two looks, `settle_s` apart; names that begin
with `.` or end in `.part` or `.tmp` are unfinished by convention. What was sent is remembered in the queue's own file,
in the transaction that sends: a file gives one event per (name, modification time, size), over restarts and crashes.
"""

import asyncio
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.events import ObjectCreated, build_event

UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True, slots=True)
class _Look:
    modified_ns: int
    size: int


class FolderWatch:
    """Sends events about the files below `root` to `queue`; `bucket` is the name that the events give.

    `run` looks every `settle_s` seconds until it is cancelled. Links are not followed.
    """

    def __init__(self, streams: EmbeddedStreams, root: Path, *, bucket: str, queue: str, settle_s: float = 0.5) -> None:
        self._streams = streams
        self._root = root
        self._bucket = bucket
        self._queue = queue
        self._settle_s = settle_s
        self._last: dict[str, _Look] = {}
        self._sent: dict[str, _Look] = {}

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._settle_s)

    async def look(self) -> int:
        """One look at the folder; how many events were sent."""
        found = await asyncio.to_thread(_files, self._root)
        count = 0
        for name in sorted(found):
            look = found[name]
            if look == self._last.get(name) and look != self._sent.get(name):
                count += await self._send(name, look)
                self._sent[name] = look
        self._last = found
        self._sent = {name: look for name, look in self._sent.items() if name in found}
        return count

    async def _send(self, name: str, look: _Look) -> bool:
        etag = f"{look.modified_ns:x}-{look.size:x}"
        when = datetime.fromtimestamp(look.modified_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        event = build_event(ObjectCreated(self._bucket, name, look.size, etag, time=when))
        return await self._streams.send_once(self._queue, event, f"{self._bucket}/{name}\n{etag}")


def _files(root: Path) -> dict[str, _Look]:
    """Every regular file by its path below the root, with `/` between the parts."""
    found: dict[str, _Look] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith(".") or name.endswith(UNFINISHED):
                continue
            path = Path(folder, name)
            try:
                key = path.relative_to(root).as_posix()
                key.encode()
                status = path.lstat()
            except (FileNotFoundError, UnicodeEncodeError):
                continue
            if stat.S_ISREG(status.st_mode):
                found[key] = _Look(status.st_mtime_ns, status.st_size)
    return found
