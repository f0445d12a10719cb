"""The seam between Orion and its documents: three calls, which Aries' client offers and a simulation can imitate."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Protocol

from studio9_common.clients.aries import BulkItem, BulkOutcome, Document, Documents
from studio9_common.documents.port import Where
from studio9_common.errors import Studio9Error, Unavailable
from studio9_common.tasks import end

PAGE = 500


class WriteRefused(Studio9Error):
    """The store refused a document of Orion's; its reason says which field, and Orion's log has the document's id."""

    code = "write_refused"


class Store(Protocol):
    """Real-time reads, bulk writes with an outcome each, searches that lag unless `fresh`. Raises Unavailable."""

    async def get_many(self, collection: str, ids: Sequence[str]) -> list[Document | None]: ...

    async def bulk(self, collection: str, items: Sequence[BulkItem]) -> list[BulkOutcome]: ...

    async def search(
        self,
        collection: str,
        where: Where = ...,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
    ) -> Documents: ...

    async def ping(self) -> None: ...


async def get(store: Store, collection: str, id: str) -> Document | None:
    """One document in real time."""
    return (await store.get_many(collection, [id]))[0]


async def put_many(store: Store, collection: str, documents: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Overwrites documents that only Orion writes and nothing is decided by alone. Raises WriteRefused."""
    if documents:
        items = [BulkItem(action="put", id=id, body=body) for id, body in documents]
        for outcome in await store.bulk(collection, items):
            check(collection, outcome)


async def delete_many(store: Store, collection: str, ids: Sequence[str]) -> None:
    """Deleting what is not there is harmless."""
    if ids:
        for outcome in await store.bulk(collection, [BulkItem(action="delete", id=id) for id in ids]):
            if outcome.status != 404:
                check(collection, outcome)


async def swap(store: Store, collection: str, id: str, body: dict[str, Any], etag: str | None) -> bool:
    """Creates (`etag` None) or replaces one document; False if somebody else was quicker."""
    item = BulkItem(action="create" if etag is None else "replace", id=id, body=body, etag=etag)
    return check(collection, (await store.bulk(collection, [item]))[0])


def check(collection: str, outcome: BulkOutcome) -> bool:
    """True for a write that was made, False for a conflict. Raises Unavailable, WriteRefused."""
    if outcome.status < 300:
        return True
    if outcome.status in {404, 409, 412}:
        return False
    if outcome.status >= 500 or outcome.status == 429:
        raise Unavailable(f"{collection}: {outcome.detail or outcome.status}")
    raise WriteRefused(f"{collection}: {outcome.detail or outcome.status}", field=outcome.field)


async def find(
    store: Store,
    collection: str,
    where: Where,
    *,
    sort: Sequence[str] = (),
    most: int = 10_000,
    fresh: bool = False,
    page: int = PAGE,
) -> AsyncIterator[Document]:
    """Hits of a search, `page` at a time, at most `most`; `fresh` refreshes once, at the beginning."""
    after: str | None = None
    left = most
    while left > 0:
        hits = await store.search(collection, where, sort=sort, limit=min(page, left), after=after, fresh=fresh)
        for item in hits.items:
            yield item
        left -= len(hits.items)
        after, fresh = hits.next, False
        if after is None or not hits.items:
            return


async def pages(
    store: Store,
    collection: str,
    where: Where,
    *,
    sort: Sequence[str] = (),
    most: int,
    fresh: bool = False,
    page: int = PAGE,
) -> AsyncGenerator[list[Document]]:
    """As `find`, page by page, and the next one is fetched while one is worked on."""

    def fetch(left: int, after: str | None, fresh: bool) -> asyncio.Task[Documents]:
        found = store.search(collection, where, sort=sort, limit=min(page, left), after=after, fresh=fresh)
        return asyncio.ensure_future(found)

    next_ = fetch(most, None, fresh)
    try:
        while True:
            hits = await next_
            most -= len(hits.items)
            more = hits.next is not None and bool(hits.items) and most > 0
            if more:
                next_ = fetch(most, hits.next, False)
                await asyncio.sleep(0)  # so that it is on its way
            yield hits.items
            if not more:
                return
    finally:
        await end(next_)
