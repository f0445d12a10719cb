"""Objects in a local directory, for one machine without an object storage server.

`index.sqlite` says which objects there are, `files/` holds their content, `incoming/` what is being written or removed,
`url.secret` the key of the signed URLs. Whatever a crash leaves is in `incoming/`: opening the folder puts back what
has a row and removes the rest.
"""

import asyncio
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from studio9_common.errors import BadInput, no_room
from studio9_common.objects.content import Digest, check, digest_file, write_file
from studio9_common.objects.keys import check_key, check_metadata, check_prefix
from studio9_common.objects.local_index import Entry, LocalIndex
from studio9_common.objects.local_url import UrlSigner, installation_secret
from studio9_common.objects.port import ObjectExists, ObjectInfo, ObjectMissing, ObjectsFull, ObjectsUnavailable

ABANDONED_S = 86_400
"""Seconds after which a file without a row is removed; a younger one may be another process' work."""


class LocalObjects:
    """Objects (the port) under `root`. Signed URLs begin with `base_url`, where `local_http.router` is mounted."""

    def __init__(
        self, root: Path, *, base_url: str, profile: str = "local", now: Callable[[], float] = time.time
    ) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"
        try:
            for folder in (root, self._files, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._index = LocalIndex(root / "index.sqlite")
            self.signer = UrlSigner(installation_secret(root / "url.secret"), base_url, now=now)
        except (OSError, sqlite3.Error) as error:
            raise ObjectsUnavailable(f"the folder {root} cannot be used: {error}") from error
        self._profile = profile
        self._recover()

    @property
    def profile(self) -> str:
        return self._profile

    async def put(
        self,
        key: str,
        data: bytes | Path | AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        check_key(key)
        described = check_metadata(metadata)
        temporary = self._incoming / secrets.token_hex(16)
        try:
            digest = await write_file(data, temporary)
            check(sha256, digest, key)
            return await asyncio.to_thread(self._commit, key, temporary, digest, content_type, described)
        except OSError as error:
            if isinstance(data, Path) and isinstance(error, FileNotFoundError) and error.filename == str(data):
                raise
            if no_room(error):
                raise ObjectsFull from error
            raise ObjectsUnavailable(f"{key} cannot be stored: {error}") from error
        finally:
            self._discard(temporary)

    def _discard(self, temporary: Path) -> None:
        """Removes what was written and has become no object. (One that could not be moved to its place stays.)"""
        if temporary.exists() and not self._index.has_file(temporary.name):
            temporary.unlink(missing_ok=True)

    def _commit(
        self, key: str, temporary: Path, digest: Digest, content_type: str, metadata: dict[str, str]
    ) -> ObjectInfo:
        info = ObjectInfo(key, digest.size, digest.sha256, content_type, datetime.now(UTC), metadata)
        found = self._index.find(key)
        if found is None:
            _sync_folder(self._incoming)
            found = self._index.add(Entry(info, temporary.name))
            if found is None:
                # Its row makes it exist. On a full disk there may be no room for the folder of its place: it is found
                # where it lies, and is moved when this folder is opened the next time.
                with suppress(OSError):
                    self._settle(temporary.name)
                return info
        if found.info.sha256 != digest.sha256:
            raise ObjectExists(f"there is already another object under {key}", field="key", value=key)
        return found.info

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if start < 0 or (length is not None and length < 0):
            raise BadInput("start and length cannot be negative", field="start", value=start)
        file = await self._open(key)
        return await asyncio.to_thread(_read, file, start, length)

    async def stream(self, key: str, *, chunk: int = 1 << 20) -> AsyncIterator[bytes]:
        return _chunks(await self._open(key), chunk)

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> ObjectInfo:
        entry = await self._entry(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(self._copy_out, entry, temporary)
            if sha256 is not None:
                check(sha256, await asyncio.to_thread(digest_file, temporary), key)
            await asyncio.to_thread(os.replace, temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return entry.info

    def _copy_out(self, entry: Entry, target: Path) -> None:
        with self._open_file(entry) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)

    async def head(self, key: str) -> ObjectInfo:
        return (await self._entry(key)).info

    async def list(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        folder = check_prefix(prefix)
        while page := await asyncio.to_thread(self._index.page, folder, after):
            for info in page:
                yield info
            after = page[-1].key

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._remove, check_key(key))

    async def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise BadInput("a prefix to delete ends in `/`", field="prefix", value=prefix)
        folder = check_prefix(prefix)
        count = 0
        while page := await asyncio.to_thread(self._index.page, folder, None):
            for info in page:
                count += await asyncio.to_thread(self._remove, info.key)
        return count

    async def signed_url(
        self, key: str, *, method: Literal["GET", "PUT"] = "GET", expires_s: int = 3600, filename: str | None = None
    ) -> str:
        return self.signer.sign(key, method, expires_s, filename)

    async def ping(self) -> None:
        await asyncio.to_thread(self._index.find, "ping")

    async def close(self) -> None:
        await asyncio.to_thread(self._index.close)

    async def _entry(self, key: str) -> Entry:
        entry = await asyncio.to_thread(self._index.find, check_key(key))
        if entry is None:
            raise _missing(key)
        return entry

    async def _open(self, key: str) -> BinaryIO:
        return await asyncio.to_thread(self._open_file, await self._entry(key))

    def _open_file(self, entry: Entry) -> BinaryIO:
        for path in (self._path(entry.file), self._incoming / entry.file, self._path(entry.file)):
            try:
                return path.open("rb")
            except FileNotFoundError:
                continue
        raise _missing(entry.info.key)

    def _path(self, file: str) -> Path:
        return self._files / file[:2] / file

    def _settle(self, file: str) -> None:
        final = self._path(file)
        final.parent.mkdir(exist_ok=True)
        (self._incoming / file).rename(final)

    def _remove(self, key: str) -> bool:
        entry = self._index.find(key)
        if entry is None:
            return False
        leaving = self._incoming / entry.file
        with suppress(FileNotFoundError):
            self._path(entry.file).rename(leaving)
        removed = self._index.remove(key)
        leaving.unlink(missing_ok=True)
        return removed

    def _recover(self) -> None:
        limit = time.time() - ABANDONED_S
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if self._index.has_file(path.name):
                    self._settle(path.name)
                elif path.stat().st_mtime < limit:
                    path.unlink()


def _missing(key: str) -> ObjectMissing:
    return ObjectMissing(f"there is no object under {key}", field="key", value=key)


def _read(file: BinaryIO, start: int, length: int | None) -> bytes:
    with file:
        file.seek(start)
        return file.read(-1 if length is None else length)


async def _chunks(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read, size):
            yield chunk
    finally:
        file.close()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
