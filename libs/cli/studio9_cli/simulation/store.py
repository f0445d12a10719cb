"""The simulated document store behind Aries: versions, bulk, lagging searches, and what can go wrong with them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from studio9_cli.simulation.loop import VirtualLoop
from studio9_cli.simulation.weather import Weather
from studio9_common.clients.aries import BulkItem, BulkOutcome, Document, Documents
from studio9_common.documents.port import DocumentsUnavailable, Where

Answer = TypeVar("Answer")
OnWrite = Callable[[str, str, dict[str, Any] | None, dict[str, Any] | None], None]
"""Told of every write: collection, id, the body before and after (None: not there)."""
_ALL = Where()
_NONE = Documents([], None)
_CONFLICT, _MISSING = BulkOutcome(status=412), BulkOutcome(status=404)
_EXISTS, _AWAY = BulkOutcome(status=409), BulkOutcome(status=503, detail="this item failed")


@dataclass(slots=True)
class LightItem:
    """Stands in for `BulkItem`, which checks what it is given."""

    action: str
    id: str
    body: dict[str, Any] | None = None
    etag: str | None = None


@dataclass(slots=True)
class _Written:
    """Stands in for the `BulkOutcome` of a write that was made."""

    etag: str
    status: int = 200
    code: str | None = None
    detail: str | None = None
    field: str | None = None


class Table:
    """The documents of one collection, and how a search sees them, a refresh behind."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.visible: dict[str, Document] = {}
        self.dirty: set[str] = set()
        self.refreshed_at = 0.0

    def refresh(self, now: float) -> None:
        for id in sorted(self.dirty):
            document = self.documents.get(id)
            if document is None:
                self.visible.pop(id, None)
            else:
                self.visible[id] = document
        self.dirty.clear()
        self.refreshed_at = now


class Database:
    """What all nodes share."""

    def __init__(self, loop: VirtualLoop, weather: Weather, on_write: OnWrite) -> None:
        self.loop, self.weather, self._on_write = loop, weather, on_write
        self.tables: dict[str, Table] = {}
        self._version = 0

    def table(self, collection: str) -> Table:
        table = self.tables.get(collection)
        if table is None:
            table = self.tables[collection] = Table()
        return table

    def write(self, collection: str, item: BulkItem) -> BulkOutcome:
        """Applies one write."""
        table = self.table(collection)
        known = table.documents.get(item.id)
        if item.action == "create" and known is not None:
            return _EXISTS
        if item.action == "replace" and (known is None or known.etag != item.etag):
            return _CONFLICT if known is not None else _MISSING
        if item.action == "delete":
            if known is None:
                return _MISSING
            del table.documents[item.id]
        else:
            self._version += 1
            table.documents[item.id] = Document(item.id, str(self._version), item.body or {})
        table.dirty.add(item.id)
        self._on_write(collection, item.id, known.body if known else None, item.body)
        outcome: Any = _Written(str(self._version))
        return outcome  # type: ignore[no-any-return] # it has what is asked of a BulkOutcome


class SimStore:
    """A node's client of the store: what `studio9_orion.store.Store` asks for."""

    def __init__(self, database: Database, node: str, rng: random.Random) -> None:
        self._database, self._node, self._rng = database, node, rng

    async def get_many(self, collection: str, ids: Sequence[str]) -> list[Document | None]:
        if not ids:
            return []
        table = self._database.table(collection)
        return await self._call(lambda: [table.documents.get(id) for id in ids])

    async def bulk(self, collection: str, items: Sequence[BulkItem]) -> list[BulkOutcome]:
        if not items:
            return []
        return await self._call(lambda: [self._write(collection, item) for item in items], writes=True)

    def _write(self, collection: str, item: BulkItem) -> BulkOutcome:
        weather, rng = self._database.weather, self._rng
        if weather.partial_failures and weather.strikes("partial_failures", rng):
            return _AWAY
        if weather.conflicts and item.action == "replace" and weather.strikes("conflicts", rng):
            return _CONFLICT
        return self._database.write(collection, item)

    async def search(
        self,
        collection: str,
        where: Where = _ALL,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
    ) -> Documents:
        return await self._call(lambda: self._search(collection, where, sort, limit, after, fresh))

    def _search(
        self, collection: str, where: Where, sort: Sequence[str], limit: int, after: str | None, fresh: bool
    ) -> Documents:
        table, now = self._database.table(collection), self._database.loop.now
        if table.dirty:
            if fresh or now - table.refreshed_at >= self._database.weather.search_lag_s:
                table.refresh(now)
            else:
                self._database.weather.effects["search_lag"] += 1
        if not table.visible:
            return _NONE
        meets = condition(where)
        hits = [one for one in table.visible.values() if meets(one.body)]
        hits.sort(key=lambda one: one.id)
        for name in reversed(sort):
            field = name.lstrip("-")
            there = [one for one in hits if field in one.body]
            there.sort(key=lambda one: one.body[field], reverse=name.startswith("-"))
            hits = there + [one for one in hits if field not in one.body]
        start = int(after or 0)
        page = hits[start : start + limit]
        more = start + limit < len(hits)
        return Documents(page, str(start + limit) if more else None)

    async def ping(self) -> None:
        await self._call(lambda: None)

    async def _call(self, work: Callable[[], Answer], *, writes: bool = False) -> Answer:
        """One request: it arrives, is worked on, and is answered, unless something goes wrong on the way."""
        loop, weather, rng = self._database.loop, self._database.weather, self._rng
        answer: asyncio.Future[Answer] = loop.create_future()
        if not weather.reaches(self._node, "store"):
            loop.after(rng.uniform(0.05, 10.0), _fail, answer)
            return await answer
        delay = rng.uniform(0.0005, 0.004)
        if weather.slow_s:
            delay += rng.uniform(0, weather.slow_s)
            weather.effects["slow_s"] += 1
        lost = weather.reply_lost > 0 and weather.strikes("reply_lost", rng)
        loop.after(delay, self._arrive, work, answer, writes, lost)
        return await answer

    def _arrive(self, work: Callable[[], Answer], answer: "asyncio.Future[Answer]", writes: bool, lost: bool) -> None:
        weather = self._database.weather
        if not weather.reaches(self._node, "store") or (writes and weather.full_disks and weather.full("store")):
            _fail(answer)
            return
        if lost and writes and self._rng.random() < 0.3:
            self._database.loop.after(self._rng.uniform(0.5, 8.0), work)  # it arrives after everybody has given it up
            _fail(answer)
            return
        result = work()
        if lost:
            _fail(answer)
        elif not answer.done():
            answer.set_result(result)


def _fail(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(DocumentsUnavailable())


def condition(where: Where) -> Callable[[dict[str, Any]], bool]:
    """Whether a document's body meets a condition of the documents port."""
    equals = [(field, _choices(wanted)) for field, wanted in where.equals.items()]
    differs = [(field, _choices(wanted)) for field, wanted in where.differs.items()]
    below, at_least = list(where.below.items()), list(where.at_least.items())

    def meets(body: dict[str, Any]) -> bool:
        for field, choices in equals:
            if not _any(body.get(field), choices):
                return False
        for field, bound in below:
            value = body.get(field)
            if value is None or not value < bound:
                return False
        for field, bound in at_least:
            value = body.get(field)
            if value is None or not value >= bound:
                return False
        return not any(_any(body.get(field), choices) for field, choices in differs)

    return meets


def _choices(wanted: Any) -> Any:
    return tuple(wanted) if isinstance(wanted, tuple | list) else (wanted,)


def _any(value: Any, choices: Any) -> bool:
    return any(one in choices for one in value) if type(value) is list else value in choices
