"""Objects in a cloud's bucket through obstore: what S3, Google Cloud Storage and Azure Blob have in common.

Creation is a conditional put, so of several writers exactly one wins. Content is read in ranges of at most 8 MiB, each
a request with its own time limit and retries. sha256 and metadata travel as user metadata, percent-encoded.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NoReturn, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from studio9_common.errors import BadInput
from studio9_common.objects.content import Digest, check, digest_bytes, digest_file, write_file
from studio9_common.objects.keys import MAX_KEY, check_key, check_metadata, check_prefix, from_header, header_value
from studio9_common.objects.port import ObjectExists, ObjectInfo, ObjectMissing, ObjectsUnavailable
from studio9_common.objects.windows import validity

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Store = S3Store | GCSStore | AzureStore

CLIENT: Final["ClientConfig"] = {"timeout": timedelta(seconds=60), "connect_timeout": timedelta(seconds=5)}
RETRY: Final["RetryConfig"] = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
RANGE = 8 << 20
"""Bytes of one ranged read."""
NO_BUCKET = "NoSuchBucket"
"""S3's code for a bucket that does not exist."""
SINGLE_PUT = 32 << 20
"""Bytes up to which content is sent in one request, from memory."""


AT_ONCE = 64 << 10
"""Bytes up to which content is hashed where it is: a thread for it would take longer."""


class BigPut(Protocol):
    """Creates an object from a file too big for one request, or raises AlreadyExistsError or ObjectsUnavailable."""

    async def __call__(self, key: str, path: Path, digest: Digest, headers: dict[str, str]) -> None: ...


Signer = Callable[[str, Literal["GET", "PUT"], int, str | None], str]


class CloudObjects:
    """Objects (the port) in the bucket of `store`. `sign` and `put_big` replace what the library itself offers;
    `sign_waits` is whether `sign` may have to ask for credentials."""

    def __init__(
        self,
        store: Store,
        *,
        profile: str,
        sign: Signer | None = None,
        sign_waits: bool = True,
        put_big: BigPut | None = None,
    ) -> None:
        self._store = store
        self._longest = MAX_KEY - (len(store.prefix.encode()) + 1 if store.prefix else 0)
        self._profile = profile
        self._sign, self._sign_waits = sign, sign_waits
        self._put_big = put_big or self._put_parts
        self._bucket_seen = False

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
        check_key(key, self._longest)
        headers = {"Content-Type": content_type}
        headers |= {name: header_value(value) for name, value in check_metadata(metadata).items()}
        if isinstance(data, bytes):
            small = len(data) <= AT_ONCE
            digest = digest_bytes(data) if small else await asyncio.to_thread(digest_bytes, data)
            return await self._put(key, data, digest, sha256, headers)
        if isinstance(data, Path):
            read = await asyncio.to_thread(_read_small, data)
            if read is not None:
                return await self._put(key, *read, sha256, headers)
            return await self._put_file(key, data, await asyncio.to_thread(digest_file, data), sha256, headers)
        with tempfile.TemporaryDirectory(prefix="studio9-put-") as folder:
            path = Path(folder) / "content"
            return await self._put_file(key, path, await write_file(data, path), sha256, headers)

    async def _put_file(
        self, key: str, path: Path, digest: Digest, sha256: str | None, headers: dict[str, str]
    ) -> ObjectInfo:
        if digest.size <= SINGLE_PUT:
            content = await asyncio.to_thread(path.read_bytes)
            return await self._put(key, content, await asyncio.to_thread(digest_bytes, content), sha256, headers)
        return await self._put(key, path, digest, sha256, headers)

    async def _put(
        self, key: str, data: bytes | Path, digest: Digest, sha256: str | None, headers: dict[str, str]
    ) -> ObjectInfo:
        check(sha256, digest, key)
        sent = headers | {"sha256": digest.sha256}
        try:
            if isinstance(data, Path):
                await self._put_big(key, data, digest, sent)
            else:
                await obstore.put_async(self._store, key, data, attributes=sent, mode="create", use_multipart=False)
        except AlreadyExistsError:
            found = await self.head(key)
            if found.sha256 == digest.sha256:
                return found
            raise ObjectExists(f"there is already another object under {key}", field="key", value=key) from None
        except FileNotFoundError as error:
            raise ObjectsUnavailable(f"the bucket does not exist: {error}") from None
        except BaseError as error:
            _unavailable(error)
        return _info(key, digest.size, datetime.now(UTC), sent)

    async def _put_parts(self, key: str, path: Path, digest: Digest, headers: dict[str, str]) -> None:
        """For clouds whose library cannot make a multipart upload conditional: looked up before."""
        with suppress(ObjectMissing):
            await self.head(key)
            raise AlreadyExistsError
        await obstore.put_async(self._store, key, path, attributes=headers)

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if start < 0 or (length is not None and length < 0):
            raise BadInput("start and length cannot be negative", field="start", value=start)
        if length == 0:
            await self.head(key)
            return b""
        stop = start + (RANGE if length is None else min(RANGE, length))
        try:
            found = await obstore.get_async(self._store, check_key(key), options={"range": (start, stop)})
            first = bytes(await found.bytes_async())
        except FileNotFoundError as error:
            _missing(key, error)
        except BaseError as error:
            if start >= (await self.head(key)).size:
                return b""
            _unavailable(error)
        size = found.meta["size"]
        end = size if length is None else min(size, start + length)
        rest = [part async for part in self._ranges(key, start + len(first), end, RANGE)]
        return b"".join((first, *rest)) if rest else first

    async def stream(self, key: str, *, chunk: int = 1 << 20) -> AsyncIterator[bytes]:
        return self._ranges(key, 0, (await self.head(key)).size, chunk)

    async def _ranges(self, key: str, start: int, end: int, size: int) -> AsyncIterator[bytes]:
        while start < end:
            stop = min(end, start + size)
            try:
                part = await obstore.get_range_async(self._store, key, start=start, end=stop)
            except FileNotFoundError as error:
                _missing(key, error)
            except BaseError as error:
                _unavailable(error)
            yield bytes(part)
            start = stop

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> ObjectInfo:
        info = await self.head(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        digest = await write_file(self._ranges(key, 0, info.size, RANGE), temporary)
        try:
            check(sha256, digest, key)
            await asyncio.to_thread(temporary.replace, path)
        finally:
            temporary.unlink(missing_ok=True)
        return info

    async def head(self, key: str) -> ObjectInfo:
        try:
            found = await obstore.get_async(self._store, check_key(key), options={"head": True})
        except FileNotFoundError as error:
            await self._check_bucket()
            _missing(key, error)
        except BaseError as error:
            _unavailable(error)
        self._bucket_seen = True
        return _info(key, found.meta["size"], found.meta["last_modified"], found.attributes)

    async def _check_bucket(self) -> None:
        """The answer to HEAD has no body that would tell a missing bucket from a missing object. Asked until one of
        both was there; a key that may not list is no proof of either."""
        if self._bucket_seen:
            return
        try:
            async for _ in obstore.list(self._store, "ping", chunk_size=1):
                break
        except BaseError as error:
            if NO_BUCKET in str(error):
                _unavailable(error)
        self._bucket_seen = True

    async def list(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        folder = check_prefix(prefix)
        try:
            async for page in obstore.list(self._store, folder or None, offset=after, chunk_size=1000):
                for meta in page:
                    yield ObjectInfo(
                        meta["path"], meta["size"], None, "application/octet-stream", meta["last_modified"]
                    )
        except BaseError as error:
            _unavailable(error)

    async def delete(self, key: str) -> None:
        await self._delete([check_key(key)])

    async def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise BadInput("a prefix to delete ends in `/`", field="prefix", value=prefix)
        count = 0
        batch: Sequence[str]
        while batch := [info.key async for info in _first(self.list(prefix), 1000)]:
            await self._delete(batch)
            count += len(batch)
        return count

    async def _delete(self, keys: Sequence[str]) -> None:
        try:
            await obstore.delete_async(self._store, keys)
        except FileNotFoundError:
            return
        except BaseError as error:
            _unavailable(error)

    async def signed_url(
        self, key: str, *, method: Literal["GET", "PUT"] = "GET", expires_s: int = 3600, filename: str | None = None
    ) -> str:
        held = validity(check_key(key), expires_s, time.time())
        if self._sign is not None and not self._sign_waits:
            return self._sign(key, method, expires_s, filename)
        if self._sign is not None:
            return await asyncio.to_thread(self._sign, key, method, expires_s, filename)
        try:
            return await obstore.sign_async(self._store, method, key, timedelta(seconds=held.seconds))
        except BaseError as error:
            _unavailable(error)

    async def ping(self) -> None:
        async for _ in _first(self.list("ping"), 1):
            return

    async def close(self) -> None:
        """The library keeps no connection that must be ended."""


def _info(key: str, size: int, modified: datetime, headers: Mapping[str, str]) -> ObjectInfo:
    """Names of user metadata are lower-case, those of standard headers begin with a capital."""
    extra = {name: from_header(value) for name, value in headers.items() if name[0].islower()}
    sha256 = extra.pop("sha256", None)
    return ObjectInfo(key, size, sha256, headers.get("Content-Type", "application/octet-stream"), modified, extra)


async def _first(infos: AsyncIterator[ObjectInfo], limit: int) -> AsyncIterator[ObjectInfo]:
    count = 0
    async for info in infos:
        yield info
        count += 1
        if count == limit:
            return


def _missing(key: str, error: FileNotFoundError) -> NoReturn:
    if NO_BUCKET in str(error):
        _unavailable(error)
    raise ObjectMissing(f"there is no object under {key}", field="key", value=key) from None


def _unavailable(error: BaseError | FileNotFoundError) -> NoReturn:
    """The first line only: what follows is the library's own dump of the request."""
    if NO_BUCKET in str(error):
        raise ObjectsUnavailable("the bucket does not exist; create it, or correct the setting") from error
    raise ObjectsUnavailable(f"the object storage did not do it: {str(error).splitlines()[0][:300]}") from error


def _read_small(path: Path) -> tuple[bytes, Digest] | None:
    """A file that goes up in one piece, read and hashed in one go; None for a larger one. Blocks."""
    if path.stat().st_size > SINGLE_PUT:
        return None
    content = path.read_bytes()
    return content, digest_bytes(content)
