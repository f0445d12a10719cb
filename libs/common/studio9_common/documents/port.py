"""Versioned JSON documents with optimistic concurrency.

Every adapter passes `tests/contract/documents`. Reads by id are real-time; searches are a refresh behind, so nothing
is decided on a search alone; `search(fresh=True)` sees every acknowledged write. No scripts, no update-by-query: what
Elasticsearch's smallest distribution offers. Every write carries a random write id that is stored with the document:
after a time-out or a conflict the adapter reads again, and finding its own id means that the write had succeeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from studio9_common.errors import Conflict, NotFound, Studio9Error, TooLarge, Unavailable

Body = dict[str, Any]


class DocumentsUnavailable(Unavailable):
    """The document store cannot be reached or did not answer in time; whether the write happened is unknown."""


class DocumentMissing(NotFound):
    """There is no document with this id in this index."""


class VersionConflict(Conflict):
    """The document has another version than the one given, or exists already; read it again and decide anew."""


class MappingConflict(Studio9Error):
    """The document has a field that the index does not know, or of another type; extend the mapping first."""

    status = 400
    code = "mapping_conflict"


class DocumentTooLarge(TooLarge):
    """A document stays under 64 KiB; write what is larger as an object and keep its key and hash."""

    code = "document_too_large"


class NotDurable(Studio9Error):
    """The store does not sync each write, so an acknowledged one could be lost; Studio9 does not start on it."""

    code = "not_durable"


class FieldType(StrEnum):
    """How a field is indexed. `stored` is kept and returned but cannot be searched."""

    keyword = "keyword"
    """Text, or a list of texts: a condition then matches any of them."""
    long = "long"
    double = "double"
    boolean = "boolean"
    time = "time"
    """RFC 3339 text as `studio9_common.times.format_time` writes it."""
    stored = "stored"


@dataclass(frozen=True, slots=True)
class Index:
    """A family of indexes: `name` (`jobs`) and its fields. With `monthly`, documents live in `jobs-2026.11` and so
    on, by the month of their id. Top-level fields that are not listed are refused (strict); `extra` fields of newer
    versions of a document are kept in the stored field `extra`. Mappings only ever grow. `lag_s`: for how many seconds
    a search that is not fresh may miss a write; None: for about one. What is overwritten all the time costs less so."""

    name: str
    fields: Mapping[str, FieldType]
    monthly: bool = False
    lag_s: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as read. `version` is opaque: it goes into ETag and comes back in If-Match."""

    index: str
    id: str
    version: str
    body: Body


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a bulk. `create` refuses an existing id; `replace` needs the current `version`; `put` overwrites
    whatever is there (append-only and owner-only documents: beats, telemetry); `delete` takes a version or None."""

    action: Literal["create", "replace", "put", "delete"]
    index: str
    id: str
    body: Body | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of one write: the new version, or the error."""

    version: str | None = None
    error: Studio9Error | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """A conjunction of conditions on indexed fields; `id` is a keyword field of every document.

    `equals`: field → value, or a tuple of values any of which matches (`None` matches a missing field).
    `differs`: field → value(s) that must not match. `at_least`, `below`: half-open ranges for long, double, time, id.
    `prefix`: field → text a keyword starts with.
    """

    equals: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, Any] = field(default_factory=dict)
    at_least: Mapping[str, Any] = field(default_factory=dict)
    below: Mapping[str, Any] = field(default_factory=dict)
    prefix: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Hits in order; `next` goes into `after` for the following page, None at the end."""

    hits: list[Stored]
    next: str | None
    total: int | None = None


class Documents(Protocol):
    """See the module's docstring. `index` is a full name: `workers`, or `jobs-2026.11` of a monthly family."""

    async def ensure(self, *indexes: Index) -> None:
        """Makes the families known; concrete indexes appear on first write. New fields are added to existing ones.

        Raises MappingConflict where a field's type would change, and NotDurable.
        """
        ...

    async def create(self, index: str, id: str, body: Body) -> str:
        """Returns the version. Raises VersionConflict if the id exists."""
        ...

    async def get(self, index: str, id: str) -> Stored: ...

    async def get_many(self, ids: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """Real-time reads of (index, id), in the same order."""
        ...

    async def replace(self, index: str, id: str, body: Body, version: str) -> str: ...

    async def put(self, index: str, id: str, body: Body) -> str: ...

    async def delete(self, index: str, id: str, version: str | None = None) -> None: ...

    async def bulk(self, writes: Sequence[Write]) -> list[Written]:
        """All writes in one request, each with its own outcome in the same order."""
        ...

    async def search(
        self,
        index: str,
        where: Where = Where(),
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
        total: bool = False,
    ) -> Page:
        """Documents of one index, or of a whole monthly family when `index` is its bare name.

        `sort`: fields, a leading `-` for descending; the id is always the last key, so paging is stable under
        inserts. `limit` at most 1,000. Raises BadInput for an unknown field or a broken `after`.
        """
        ...

    async def count(self, index: str, where: Where = Where(), *, fresh: bool = False) -> int: ...

    async def indexes(self, family: str) -> list[str]: ...

    async def drop(self, index: str) -> None:
        """Removes a whole index (retention). Dropping what is not there is harmless."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
