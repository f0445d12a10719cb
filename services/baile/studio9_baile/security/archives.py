"""What a code package may hold, judged before it is kept. Nothing of it is run, and nothing is written anywhere."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from studio9_common.errors import BadInput
from studio9_task.errors import UnsafeName
from studio9_task.safe import output_path

MOST_ENTRIES = 2_000
LONGEST_NAME = 200
UNPACKED = 256 << 20
"""Bytes that a package may unpack to."""
CHUNK = 1 << 20
_ENTRY = b"PK\x01\x02"
"""Begins each entry of a zip archive's directory (APPNOTE.TXT, 4.3.12)."""
_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
"""What reading a damaged archive raises."""


class BadPackage(BadInput):
    """This is no code package that can be used; send a zip archive of plain files, with your Python package in it."""

    code = "bad_package"


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a package by name, and their bytes in all."""

    names: tuple[str, ...]
    size: int


def contents(path: Path) -> Contents:
    """Reads a package in full: what is listed is there, undamaged, and of the size that it claims. Raises BadPackage,
    naming the entry. Blocks."""
    if path.read_bytes().count(_ENTRY) > MOST_ENTRIES:  # before a directory of millions is read into memory
        raise bad(f"It has more than {MOST_ENTRIES} entries", "leave out what is no code")
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not _folder(info)]
            names = _names(files)
            size = sum(info.file_size for info in files)
            if size > UNPACKED:
                raise bad(f"It unpacks to {size} bytes", f"keep it below {UNPACKED}")
            for info in files:
                _read(archive, info)
    except UNREADABLE as error:
        raise bad(f"It cannot be read ({error})", "pack it again, as a zip archive") from None
    if not any(name.endswith(".py") for name in names):
        raise bad("It holds no Python file", "pack the folder that your package is in")
    return Contents(names, size)


def holds_module(names: Collection[str], module: str) -> bool:
    """Whether `package.module` is among a package's files."""
    place = module.replace(".", "/")
    return f"{place}.py" in names or f"{place}/__init__.py" in names


def bad(message: str, fix: str) -> BadPackage:
    """The refusal, about the request's body."""
    return BadPackage(f"The code package cannot be used: {message}", field="body", fix=fix)


def _folder(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder; folders come with the files in them."""
    return info.is_dir() and info.file_size == 0


def _names(files: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    """The files' names, which are those of plain files in plain folders. Raises BadPackage."""
    known: set[str] = set()
    folders: set[str] = set()
    for info in files:
        name = info.filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise bad(f"{name[:LONGEST_NAME]!r} is a link or no plain file", "pack the file itself")
        try:
            parts = output_path(name).parts
        except (UnsafeName, UnicodeError) as error:
            raise bad(f"{name[:LONGEST_NAME]!r}: {error}", "pack it again from within your folder") from None
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise bad(f"The name {name[:LONGEST_NAME]!r} cannot be used", f"use at most {LONGEST_NAME} letters")
        if name in known:
            raise bad(f"{name!r} is in it twice", "pack it again")
        known.add(name)
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
    if both := sorted(known & folders):
        raise bad(f"{both[0]!r} is a file and a folder", "pack it again")
    return tuple(sorted(known))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Unpacks an entry to nowhere: no more comes out than it claims, and its checksum holds. Raises BadPackage."""
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _WAYS:
        raise bad(f"{info.filename!r} is encrypted, or not packed as usual", "pack it with zip's own method")
    read = 0
    with archive.open(info) as file:
        while chunk := file.read(CHUNK):
            read += len(chunk)
    if read != info.file_size:
        raise bad(f"{info.filename!r} is cut off", "pack it again")
