"""Files that are whole or absent: a temporary name, synced, renamed, then announced."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TEMPORARY = ".part"
"""The ending of files that are still being written; nobody announces or uploads them."""


@dataclass(frozen=True)
class Written:
    """A file as it lies on the disk, with the facts that its announcement gives."""

    path: Path
    size: int
    sha256: str


@dataclass
class NewFile:
    """A file in the making: write to `path`; `written` is there once the block has ended."""

    path: Path
    _written: Written | None = None

    @property
    def written(self) -> Written:
        """What was written; only after the block."""
        if self._written is None:
            raise RuntimeError("the file is not finished: leave the block first")
        return self._written


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Write a file under a temporary name beside `path`; on success sync it, rename it and sync its folder.

    After an exception nothing is left under either name, and what `path` held before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    new = NewFile(temporary)
    try:
        yield new
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    new._written = Written(path, size, digest)


def write_bytes(path: Path, content: bytes) -> Written:
    """Write `content` to `path` as a whole."""
    with new_file(path) as new:
        new.path.write_bytes(content)
    return new.written


def sync_folder(path: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
