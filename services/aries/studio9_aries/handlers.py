"""What Aries does for a caller: scoped reads and owner's writes on the document store."""

from collections.abc import Sequence

from studio9_aries.domain import (
    SYSTEM,
    bound,
    check_reader,
    check_write,
    check_writer,
    collection_of,
    scoped,
    visible,
)
from studio9_common.contracts.collections import COLLECTIONS
from studio9_common.contracts.documents import BulkItem, SearchRequest
from studio9_common.contracts.job import TERMINAL
from studio9_common.documents.names import index_of
from studio9_common.documents.port import Documents, Index, Page, Stored, Where, Write, Written
from studio9_common.errors import BadInput, Conflict, NotFound, Studio9Error, Unavailable
from studio9_common.tokens import Caller


class MonthInUse(Conflict):
    """A job of this month is not terminal yet; its documents are dropped when all of them are."""

    code = "month_in_use"


class Handlers:
    """The operations behind the routes. `ready` is set once the store is prepared."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.ready = False

    async def prepare(self) -> None:
        """Makes the collections known to the store and extends their mappings."""
        await self._documents.ensure(*COLLECTIONS.values())
        self.ready = True

    async def get(self, caller: Caller, collection: str, id: str) -> Stored:
        """Raises NotFound, also for what belongs to another organisation."""
        found = (await self.get_many(caller, collection, [id]))[0]
        if found is None:
            raise NotFound(f"there is no {collection}/{id}")
        return found

    async def get_many(self, caller: Caller, collection: str, ids: Sequence[str]) -> list[Stored | None]:
        index = self._readable(caller, collection)
        found = await self._documents.get_many([(index_of(index, id), id) for id in ids])
        return [stored if stored is not None and visible(caller, stored.body) else None for stored in found]

    async def write(self, caller: Caller, collection: str, item: BulkItem) -> str | None:
        """The new version, None after a delete. Single writes are gathered by the store."""
        index = self._writable(caller, collection)
        prepared = (await self._prepare(caller, index, [item]))[0]
        if isinstance(prepared, Studio9Error):
            raise prepared
        place, id, body = prepared.index, prepared.id, prepared.body or {}
        match prepared.action:
            case "create":
                return await self._documents.create(place, id, body)
            case "put":
                return await self._documents.put(place, id, body)
            case "replace":
                return await self._documents.replace(place, id, body, prepared.version or "")
            case "delete":
                await self._documents.delete(place, id, prepared.version)
                return None

    async def bulk(self, caller: Caller, collection: str, items: Sequence[BulkItem]) -> list[Written]:
        """Each write with its own outcome, in order."""
        index = self._writable(caller, collection)
        prepared = await self._prepare(caller, index, items)
        written = iter(await self._documents.bulk([write for write in prepared if isinstance(write, Write)]))
        return [next(written) if isinstance(write, Write) else Written(error=write) for write in prepared]

    async def search(self, caller: Caller, collection: str, request: SearchRequest) -> Page:
        index = self._readable(caller, collection)
        place = index.name if request.month is None else f"{index.name}-{request.month}"
        return await self._documents.search(
            place,
            scoped(caller, request.where.where()),
            sort=request.sort,
            limit=request.limit,
            after=request.after,
            fresh=request.fresh,
            total=request.total,
        )

    async def count(self, caller: Caller, collection: str, where: Where, *, fresh: bool) -> int:
        index = self._readable(caller, collection)
        return await self._documents.count(index.name, scoped(caller, where), fresh=fresh)

    async def months(self, caller: Caller, collection: str) -> list[str]:
        index = self._readable(caller, collection)
        if not index.monthly:
            raise BadInput(f"{collection} has no months", field="collection")
        return [name.partition("-")[2] for name in await self._documents.indexes(index.name)]

    async def drop_month(self, caller: Caller, collection: str, month: str) -> None:
        """Raises MonthInUse while a job of that month is not terminal."""
        index = self._writable(caller, collection)
        if not index.monthly:
            raise BadInput(f"{collection} has no months", field="collection")
        unfinished = Where(differs={"state": tuple(state.value for state in TERMINAL)})
        if await self._documents.count(f"jobs-{month}", unfinished, fresh=True):
            raise MonthInUse
        await self._documents.drop(f"{index.name}-{month}")

    async def _prepare(self, caller: Caller, index: Index, items: Sequence[BulkItem]) -> list[Write | Studio9Error]:
        """Each item as a write, or what is wrong with it."""
        prepared: list[Write | Studio9Error] = []
        for item in items:
            try:
                check_write(caller, index, item)
                prepared.append(Write(item.action, index_of(index, item.id), item.id, item.body, item.etag))
            except Studio9Error as error:
                prepared.append(error)
        if caller.organisation == SYSTEM:
            return prepared
        touching = [write for write in prepared if isinstance(write, Write) and write.action != "create"]
        found = await self._documents.get_many([(write.index, write.id) for write in touching])
        stored = {(write.index, write.id): document for write, document in zip(touching, found, strict=True)}
        return [
            bound(caller, write, stored[write.index, write.id])
            if isinstance(write, Write) and write.action != "create"
            else write
            for write in prepared
        ]

    def _readable(self, caller: Caller, collection: str) -> Index:
        index = collection_of(collection)
        check_reader(caller)
        self._check_ready()
        return index

    def _writable(self, caller: Caller, collection: str) -> Index:
        index = collection_of(collection)
        check_writer(caller, index)
        self._check_ready()
        return index

    def _check_ready(self) -> None:
        if not self.ready:
            raise Unavailable("Aries is still preparing its store; try again shortly")
