"""The user's package: files that were staged as they are, or an archive of them, unpacked where it is to run."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from typing import IO

from studio9_task.errors import UnsafeName
from studio9_task.layout import CODE, TaskFolder
from studio9_task.safe import output_path
from studio9_trainers.errors import BadInput

UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, LZMAError, zlib.error, EOFError, RuntimeError,
    NotImplementedError,
)  # fmt: skip
"""What reading a damaged archive raises, or one with a password or a compression that Python does not know."""


def code_folder(folder: TaskFolder) -> Path:
    """Where the user's modules are imported from. Raises BadInput where there are none.

    The input holds plain files, or one zip or tar archive under the input's own name, which is unpacked into
    scratch; what it may take there is the limit of the task's disk. Links in it are left out.
    """
    given = folder.input(CODE)
    files = sorted(given.iterdir()) if given.is_dir() else []
    if not files:
        raise BadInput(f"There is no input {CODE}: give your package, as a zip or tar archive.")
    if len(files) > 1 or files[0].stem != CODE or not files[0].is_file():
        return given
    target = folder.scratch / CODE
    try:
        if zipfile.is_zipfile(files[0]):
            _unpack(_zipped(files[0]), target)
        elif tarfile.is_tarfile(files[0]):
            _unpack(_tarred(files[0]), target)
        elif files[0].suffix == ".py":
            return given
        else:
            raise BadInput(f"The input {CODE} is neither a zip nor a tar archive: pack your package as one of them.")
    except UnsafeName as error:
        raise BadInput(f"The archive of your code: {error}") from None
    except UNREADABLE as error:
        raise BadInput(f"The archive of your code can't be read ({error}): pack it again.") from None
    return target


def _unpack(entries: Iterator[tuple[str, IO[bytes]]], target: Path) -> None:
    for name, content in entries:
        path = target / output_path(name.removeprefix("./"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file)


def _zipped(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, archive.open(info)


def _tarred(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if (content := archive.extractfile(member) if member.isfile() else None) is not None:
                yield member.name, content
