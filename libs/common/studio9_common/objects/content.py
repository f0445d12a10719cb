"""Content on its way in: hashed while it is written or read, never more than a chunk of it in memory."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from studio9_common.objects.port import ChecksumMismatch

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """What content turned out to be: lower-case hex and bytes."""

    sha256: str
    size: int


def digest_bytes(data: bytes) -> Digest:
    """Of content in memory; run it in a thread where it may be large."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def digest_file(path: Path) -> Digest:
    """Of a file, read in chunks; run it in a thread."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(sha256, file.tell())


def check(expected: str | None, found: Digest, key: str) -> None:
    """Raises ChecksumMismatch if a checksum was announced and is not the found one."""
    if expected is not None and expected != found.sha256:
        raise ChecksumMismatch(
            f"{key}: the content's sha256 is {found.sha256}, announced was {expected}",
            field="sha256",
            value=expected,
            fix="send the content again, with the checksum of all its bytes",
        )


async def write_file(data: bytes | Path | AsyncIterator[bytes], target: Path) -> Digest:
    """Writes content to a new file, synced to disk. On any error the file is removed again."""
    try:
        if isinstance(data, Path):
            return await asyncio.to_thread(_copy, data, target)
        if isinstance(data, bytes):
            return await asyncio.to_thread(_write, data, target)
        return await _drain(data, target)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(target.unlink, missing_ok=True))
        raise


def _write(data: bytes, target: Path) -> Digest:
    with target.open("xb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())
    return digest_bytes(data)


def _copy(source: Path, target: Path) -> Digest:
    sha256 = hashlib.sha256()
    size = 0
    with source.open("rb") as read, target.open("xb") as file:
        while chunk := read.read(CHUNK):
            sha256.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Digest(sha256.hexdigest(), size)


async def _drain(data: AsyncIterator[bytes], target: Path) -> Digest:
    sha256 = hashlib.sha256()
    size = 0
    pending = bytearray()
    with target.open("xb", buffering=0) as file:

        def flush(block: bytes) -> None:
            sha256.update(block)
            file.write(block)

        async for chunk in data:
            size += len(chunk)
            pending += chunk
            if len(pending) >= CHUNK:
                await asyncio.to_thread(flush, bytes(pending))
                pending.clear()
        await asyncio.to_thread(flush, bytes(pending))
        await asyncio.to_thread(os.fsync, file.fileno())
    return Digest(sha256.hexdigest(), size)
