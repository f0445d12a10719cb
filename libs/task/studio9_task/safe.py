"""Reading files that a task made: it may name a path outside its folder, or put a link in place of a file."""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from studio9_task.errors import UnsafeName

MAX_PARTS = 16


def output_path(name: str) -> PurePosixPath:
    """A path relative to `outputs/`, checked as text.

    Raises UnsafeName for an absolute path, an empty or dotted part, a backslash, a control character,
    or more than 16 parts.
    """
    parts, shown = name.split("/"), name[:80]
    if name.startswith("/"):
        raise UnsafeName(f"{shown!r} is an absolute path: give it relative to outputs/.")
    if any(part in ("", ".", "..") for part in parts):
        raise UnsafeName(f"{shown!r} has an empty or dotted part: use plain names between the slashes.")
    if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise UnsafeName(f"{shown!r} has a backslash or a control character: use plain names.")
    if len(parts) > MAX_PARTS or any(len(part.encode()) > 255 for part in parts):
        raise UnsafeName(f"{shown!r} is too deep or too long: at most {MAX_PARTS} parts of 255 bytes.")
    return PurePosixPath(name)


def open_output(outputs: Path, name: str) -> BinaryIO:
    """Open an announced file for reading, following no link in any part of `name`.

    Raises UnsafeName when a part is a link or the file is not a regular one with a single name;
    FileNotFoundError when it is not there.
    """
    parts = output_path(name).parts
    folder = os.open(outputs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = _open(part, os.O_DIRECTORY, folder, name)
            os.close(folder)
            folder = inner
        handle = _open(parts[-1], os.O_NONBLOCK, folder, name)
    finally:
        os.close(folder)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(handle)
        raise UnsafeName(f"{name!r} is not a plain file with one name: write it as a file of its own.")
    return os.fdopen(handle, "rb")


def _open(part: str, flags: int, folder: int, name: str) -> int:
    try:
        return os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafeName(f"{name!r}: {part!r} is a link or no folder ({error.strerror}): use plain files.") from None
