"""Reading `events.jsonl` while the task writes it; what a task may do to the file never raises here."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from studio9_task.events import CLAIMS, EVENT, MAX_EVENT, Event
from studio9_task.problems import describe

CHUNK = 256 * 1024
_CLAIMS = tuple(f'"{name}"'.encode() for name in CLAIMS)


@dataclass(frozen=True)
class BadEvent:
    """A line that is no event, or a file that is no event file: what is wrong and where (byte offset)."""

    offset: int
    reason: Literal["not_an_event", "too_long", "shrunk", "not_a_file"]
    detail: str


class EventReader:
    """Reads the ended lines of an event file from a byte offset on.

    `offset` is where the next line begins: keep it, and a reader made with it later goes on from there.
    A line that has not ended is left for the next call; a line over `max_line` bytes is skipped once it has
    ended and told as a BadEvent. A file that is not there yet has no lines.
    """

    def __init__(self, path: Path, offset: int = 0, max_line: int = MAX_EVENT) -> None:
        self.path = path
        self.offset = offset
        self._max_line = max_line
        self._skipped = 0  # bytes of an over-long line seen so far, beginning at offset

    def read(self, limit: int = 1000) -> list[Event | BadEvent]:
        """At most `limit` further events, in order; empty when there is nothing new."""
        try:
            # O_NOFOLLOW and O_NONBLOCK: a task may have put a link or a pipe here.
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        except OSError as error:
            return [BadEvent(self.offset, "not_a_file", error.strerror or "can't be opened")]
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return [BadEvent(self.offset, "not_a_file", "not a regular file")]
            if status.st_size < self.offset + self._skipped:
                bad = BadEvent(self.offset, "shrunk", f"{status.st_size} bytes, {self.offset} were read")
                self.offset, self._skipped = status.st_size, 0
                return [bad]
            return self._read(handle, limit)
        finally:
            os.close(handle)

    def _read(self, handle: int, limit: int) -> list[Event | BadEvent]:
        found: list[Event | BadEvent] = []
        while len(found) < limit:
            chunk = os.pread(handle, max(CHUNK, self._max_line + 1), self.offset + self._skipped)
            if self._skipped:
                end = chunk.find(b"\n")
                if end < 0:
                    self._skipped += len(chunk)
                    if not chunk:
                        break
                    continue
                found.append(self._too_long())
                self.offset += self._skipped + end + 1
                self._skipped = 0
                continue
            if not self._lines(chunk, found, limit):
                break
        return found

    def _lines(self, chunk: bytes, found: list[Event | BadEvent], limit: int) -> bool:
        """Take the ended lines of a chunk; false when there is nothing more to read now."""
        begin = 0
        while len(found) < limit and (end := chunk.find(b"\n", begin)) >= 0:
            line = chunk[begin:end]
            if end + 1 - begin > self._max_line:
                found.append(self._too_long())
            elif line.strip():
                found.append(self._event(line))
            self.offset += end + 1 - begin
            begin = end + 1
        if begin == 0 and len(chunk) > self._max_line:
            self._skipped = len(chunk)
            return True
        return begin > 0

    def _too_long(self) -> BadEvent:
        return BadEvent(self.offset, "too_long", f"a line of more than {self._max_line} bytes")

    def _event(self, line: bytes) -> Event | BadEvent:
        try:
            event = EVENT.validate_json(line)
        except ValidationError as error:
            return BadEvent(self.offset, "not_an_event", describe(error, limit=2)[:500])
        if any(name in line for name in _CLAIMS):  # most lines are not read twice
            fields = json.loads(line)
            return event.claiming(tuple(name for name in CLAIMS if name in fields))
        return event
