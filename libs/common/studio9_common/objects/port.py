"""Immutable objects under keys that begin with the organisation: created once, never overwritten.

Every adapter passes `tests/contract/objects`. Keys: `{organisation}/pictures/{sha256}`, `…/files/{sha256}`,
`…/datasets/{version}/…`, `…/models/{version}/…`, `…/online/{job}/…`, `…/jobs/{job}/{fence}/…`, `…/scratch/{job}/…`.
Orion removes what jobs leave in the last two, Baile what nothing names in the others (and scratch without a job).
sha256 is lower-case hex of the whole content and is checked on the way in; it is kept as metadata, so `head` knows it
without reading.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from studio9_common.errors import BadInput, Conflict, NotFound, StorageFull, Unavailable


class ObjectsUnavailable(Unavailable):
    """The object storage cannot be reached or did not answer in time; the request is retried."""


class ObjectsFull(ObjectsUnavailable, StorageFull):
    """The object storage has no room left, so nothing was stored; tell whoever runs it, and send the request again once
    there is room."""

    status = StorageFull.status
    code = StorageFull.code


class ObjectMissing(NotFound):
    """There is no object under this key."""


class ObjectExists(Conflict):
    """There is already another object under this key; objects are never overwritten, use a new key."""


class ChecksumMismatch(BadInput):
    """The content does not have the checksum that was announced; it was damaged on the way, send it again."""

    code = "checksum_mismatch"


class BadKey(BadInput):
    """This is not a usable key: 1 to 1,024 bytes of UTF-8, `/`-separated, without empty, `.` or `..` parts."""

    code = "bad_key"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object. `sha256` is None where the object was not written by Studio9."""

    key: str
    size: int
    sha256: str | None
    content_type: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class Objects(Protocol):
    """See the module's docstring. One instance is one storage profile (bucket and credentials, or a folder)."""

    @property
    def profile(self) -> str:
        """The storage profile's name, remembered beside every stored key."""
        ...

    async def put(
        self,
        key: str,
        data: bytes | Path | AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Creates an object. The same key with the same sha256 again is success; with another, ObjectExists.

        Raises ChecksumMismatch (nothing is stored) and BadKey. A file given by path is not read into memory.
        """
        ...

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes: ...

    async def stream(self, key: str, *, chunk: int = 1 << 20) -> AsyncIterator[bytes]: ...

    async def download(self, key: str, path: Path, *, sha256: str | None = None) -> ObjectInfo:
        """Writes to a temporary name beside `path` and renames; with `sha256` the content is checked first."""
        ...

    async def head(self, key: str) -> ObjectInfo: ...

    def list(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Objects below a prefix in key order (`sha256` and metadata may be missing here; `head` has them)."""
        ...

    async def delete(self, key: str) -> None:
        """Deleting what is not there is harmless."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Deletes everything below a prefix that ends in `/`; returns how many objects."""
        ...

    async def signed_url(
        self,
        key: str,
        *,
        method: Literal["GET", "PUT"] = "GET",
        expires_s: int = 3600,
        filename: str | None = None,
    ) -> str:
        """A URL that works without credentials until it expires, for this key and method only. `filename` makes a
        browser save it under that name (Content-Disposition)."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
