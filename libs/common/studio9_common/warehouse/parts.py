"""The parts of a load: gzip CSV files with a header line, checked before anything of them is loaded."""

import asyncio
import csv
import gzip
import io
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from studio9_common.contracts.predictions import COLUMNS
from studio9_common.objects.port import ChecksumMismatch, ObjectMissing, Objects
from studio9_common.warehouse.port import BadPart, Load, Part
from studio9_common.warehouse.schema import NAMES

_NEEDED = frozenset(column.name for column in COLUMNS if not column.nullable)
_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LocalPart:
    """A part that has been fetched and has the checksum it should have."""

    part: Part
    path: Path
    columns: tuple[str, ...]


@asynccontextmanager
async def fetched(objects: Objects, load: Load, folder: Path | None = None) -> AsyncIterator[list[LocalPart]]:
    """All parts on the local disk, in a folder that is removed afterwards. Raises BadPart."""
    check(load)
    with tempfile.TemporaryDirectory(prefix="load-", dir=folder) as name:
        parts = []
        for number, part in enumerate(load.parts):
            path = Path(name) / f"{number}.csv.gz"
            try:
                info = await objects.download(part.key, path, sha256=part.sha256)
            except (ObjectMissing, ChecksumMismatch) as error:
                raise bad(part, error.message) from None
            if info.size != part.size:
                raise bad(part, f"it has {info.size} bytes, the manifest says {part.size}")
            columns = await asyncio.to_thread(_read_header, part, path)
            parts.append(LocalPart(part, path, columns))
        yield parts


async def inspected(objects: Objects, load: Load) -> tuple[str, ...]:
    """The columns that all parts share, by looking at each object without reading it whole. Raises BadPart.

    For warehouses that read the objects themselves.
    """
    check(load)
    shared: tuple[str, ...] | None = None
    for part in load.parts:
        try:
            info = await objects.head(part.key)
            start = await objects.get(part.key, length=_HEADER_BYTES)
        except ObjectMissing as error:
            raise bad(part, error.message) from None
        if info.size != part.size or info.sha256 not in (None, part.sha256):
            raise bad(part, "it is not the object that the manifest describes")
        columns = header(part, _first_line(part, start))
        if shared not in (None, columns):
            raise bad(part, "its columns are not those of the parts before it")
        shared = columns
    return shared or NAMES


def check(load: Load) -> None:
    """Raises BadPart if the parts' rows are not the load's rows."""
    rows = sum(part.rows for part in load.parts)
    if rows != load.rows:
        raise BadPart(f"the parts have {rows} rows, the manifest says {load.rows}", field="rows", value=load.rows)


def header(part: Part, line: str) -> tuple[str, ...]:
    """The columns that a header line names: every required one, and none that is unknown. Raises BadPart."""
    columns = tuple(next(csv.reader(io.StringIO(line)), []))
    if unknown := [name for name in columns if name not in NAMES]:
        raise bad(part, f"the column {unknown[0]!r} is unknown here")
    if missing := sorted(_NEEDED - set(columns)):
        raise bad(part, f"the column {missing[0]!r} is missing")
    if len(set(columns)) != len(columns):
        raise bad(part, "a column is there twice")
    return columns


def bad(part: Part, reason: str) -> BadPart:
    """The error that names the part."""
    return BadPart(f"{part.key}: {reason}", field="parts", value=part.key)


def failed(load: Load, reason: object) -> BadPart:
    """The error for what the warehouse itself did not accept."""
    text = " ".join(str(reason).split())[:500]
    return BadPart(f"the output {load.output} of job {load.job} cannot be loaded: {text}", field="parts")


def _read_header(part: Part, path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        return header(part, _first_line(part, file.read(_HEADER_BYTES)))


def _first_line(part: Part, start: bytes) -> str:
    try:
        text = zlib.decompressobj(wbits=31).decompress(start, _HEADER_BYTES)
        return text.split(b"\n", 1)[0].decode()
    except (zlib.error, UnicodeDecodeError):
        raise bad(part, "it is not a gzip CSV") from None


async def unpacked(local: LocalPart, size: int = 1 << 18) -> AsyncIterator[bytes]:
    """The content of a part, in pieces that a thread reads. Raises BadPart where it is not whole."""
    file = await asyncio.to_thread(gzip.open, local.path, "rb")
    try:
        while data := await asyncio.to_thread(file.read, size):
            yield bytes(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise bad(local.part, str(error)) from None
    finally:
        await asyncio.to_thread(file.close)


def check_staged(load: Load, rows: int, foreign: int | None) -> None:
    """What was read into the staging table, before it counts. Raises BadPart.

    `foreign` is how many rows belong to another organisation or job.
    """
    if rows != load.rows:
        raise failed(load, f"{rows} rows have arrived, the manifest says {load.rows}")
    if foreign:
        raise failed(load, f"{foreign} rows belong to another organisation or job")
