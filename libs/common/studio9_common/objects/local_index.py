"""The index of the local objects: one SQLite row per object, which is what makes it exist.

A row is inserted after its file is on disk and removed before its file is, so a crash can leave a file without a row
but never a row without its whole file. Keys are never file names: no key can leave the folder, clash with metadata
or with another key that is its prefix.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio9_common.errors import no_room
from studio9_common.objects.port import ObjectInfo, ObjectsFull, ObjectsUnavailable
from studio9_common.times import format_time, parse_time

_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    modified TEXT NOT NULL,
    metadata TEXT NOT NULL
) WITHOUT ROWID
"""
_FIELDS = "key, file, size, sha256, content_type, modified, metadata"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object and the name of its file."""

    info: ObjectInfo
    file: str


class LocalIndex:
    """Blocking; every method is called from a thread. Several processes may open the same file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(_TABLE)

    def find(self, key: str) -> Entry | None:
        with self._open() as db:
            row = db.execute(f"SELECT {_FIELDS} FROM objects WHERE key = ?", (key,)).fetchone()
        return _entry(row) if row else None

    def add(self, entry: Entry) -> Entry | None:
        """None if it was added, else the entry that was there first."""
        info = entry.info
        values = (
            info.key,
            entry.file,
            info.size,
            info.sha256,
            info.content_type,
            format_time(info.modified),
            json.dumps(dict(info.metadata)),
        )
        with self._open() as db:
            done = db.execute(
                f"INSERT INTO objects ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING", values
            )
        return None if done.rowcount else self.find(info.key)

    def remove(self, key: str) -> bool:
        """Whether it was there."""
        with self._open() as db:
            return db.execute("DELETE FROM objects WHERE key = ?", (key,)).rowcount > 0

    def page(self, prefix: str, after: str | None, limit: int = 1000) -> list[ObjectInfo]:
        """In the order of the keys' UTF-8 bytes."""
        start = max(prefix, after or "")
        query = f"SELECT {_FIELDS} FROM objects WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
        with self._open() as db:
            rows = db.execute(query, (start, _end(prefix), limit)).fetchall()
        return [_entry(row).info for row in rows]

    def has_file(self, file: str) -> bool:
        with self._open() as db:
            return db.execute("SELECT 1 FROM objects WHERE file = ?", (file,)).fetchone() is not None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                if no_room(error):
                    raise ObjectsFull from error
                raise ObjectsUnavailable(f"the index of the objects cannot be used: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _end(prefix: str) -> str | bytes:
    """The least value above all keys with this prefix. `0` follows `/`; SQLite sorts every text below any blob."""
    return prefix[:-1] + "0" if prefix else b""


def _entry(row: tuple[str, str, int, str, str, str, str]) -> Entry:
    key, file, size, sha256, content_type, modified, metadata = row
    when: datetime = parse_time(modified)
    return Entry(ObjectInfo(key, size, sha256, content_type, when, json.loads(metadata)), file)
