"""The bodies of Aries' document routes, as both sides see them.

An `etag` is the opaque version of a document; it comes back in If-Match, or in `etag` of a bulk item. Answers about
many documents are `{"items": […]}` in the order of the request: an outcome per write of a bulk, `{id, etag, body}` or
null per id of a multi-get; a search adds `next` (null on the last page) and `total` (null unless asked for).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio9_common.documents.port import Where

MAX_ITEMS = 1_000
"""Items of one bulk, ids of one multi-get."""

Id = Annotated[str, Field(min_length=1, max_length=512)]


class Wire(BaseModel):
    """Base of the bodies; unknown fields are ignored, so that a newer client can speak to an older Aries."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BulkItem(Wire):
    """One write. `replace` needs `etag`; a `delete` may have one; `put` overwrites whatever is there."""

    action: Literal["create", "replace", "put", "delete"]
    id: Id
    body: dict[str, Any] | None = None
    etag: str | None = None


class BulkRequest(Wire):
    items: list[BulkItem] = Field(max_length=MAX_ITEMS)


class BulkOutcome(Wire):
    """The outcome of one write: an HTTP status, the new etag, or what is wrong."""

    status: int
    etag: str | None = None
    code: str | None = None
    detail: str | None = None
    field: str | None = None


class ManyRequest(Wire):
    ids: list[Id] = Field(max_length=MAX_ITEMS)


class Conditions(Wire):
    """A Where of the documents port, in JSON: a list means "any of", null means "missing"."""

    equals: Mapping[str, Any] = Field(default_factory=dict)
    differs: Mapping[str, Any] = Field(default_factory=dict)
    at_least: Mapping[str, Any] = Field(default_factory=dict)
    below: Mapping[str, Any] = Field(default_factory=dict)
    prefix: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, where: Where) -> "Conditions":
        return cls(
            equals=where.equals,
            differs=where.differs,
            at_least=where.at_least,
            below=where.below,
            prefix=where.prefix,
        )

    def where(self) -> Where:
        return Where(self.equals, self.differs, self.at_least, self.below, self.prefix)


class SearchRequest(Wire):
    """`fresh` sees every acknowledged write; `total` also counts. `after` is the `next` of the page before."""

    where: Conditions = Conditions()
    sort: Sequence[str] = ()
    limit: int = Field(100, ge=1, le=1_000)
    after: str | None = None
    fresh: bool = False
    total: bool = False
    month: str | None = Field(None, pattern=r"^\d{4}\.\d{2}$")


class CountAnswer(Wire):
    count: int


class MonthsAnswer(Wire):
    """The months of a monthly collection that have an index, such as `2026.11`."""

    months: list[str]
