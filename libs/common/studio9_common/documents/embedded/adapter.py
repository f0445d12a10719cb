"""The documents port on SQLite: one writer with group commit, readers beside it, all off the event loop."""

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from studio9_common.documents.checking import ALL, check_limit, sort_keys
from studio9_common.documents.cursors import encode_cursor
from studio9_common.documents.embedded import schema
from studio9_common.documents.embedded.searching import page_of, query_of
from studio9_common.documents.embedded.writing import Writer
from studio9_common.documents.names import check_family, family_of
from studio9_common.documents.port import (
    DocumentsUnavailable,
    Index,
    Page,
    Stored,
    Where,
    Write,
    Written,
)
from studio9_common.documents.single import SingleDocuments

Result = TypeVar("Result")
_READERS = 4


class SqliteDocuments(SingleDocuments):
    """See `studio9_common.documents.port.Documents`. Open with `await SqliteDocuments.open(path)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = Writer(path)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="documents-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens or makes the file and its folder. Raises DocumentsUnavailable."""
        documents = cls(path)
        await asyncio.to_thread(documents._open)
        return documents

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer.open()

    @property
    def commits(self) -> int:
        """Write transactions committed so far."""
        return self._writer.transactions

    async def ensure(self, *indexes: Index) -> None:
        for index in indexes:
            check_family(index)
        await self._writer.submit(lambda store: store.ensure(indexes))

    async def _one(self, write: Write) -> str:
        written = await self._writer.submit(lambda store: store.write(write))
        if written.error is not None:
            raise written.error
        return written.version or ""

    async def bulk(self, writes: Sequence[Write]) -> list[Written]:
        batch = list(writes)
        return await self._writer.submit(lambda store: store.write_all(batch))

    async def get_many(self, ids: Sequence[tuple[str, str]]) -> list[Stored | None]:
        wanted = list(ids)

        def read(connection: sqlite3.Connection) -> list[Stored | None]:
            families = _families(connection)
            for index in {index for index, _ in wanted}:
                family_of(families, index)
            return [_get(connection, index, id) for index, id in wanted]

        return await self._read(read)

    async def search(
        self,
        index: str,
        where: Where = ALL,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
        total: bool = False,
    ) -> Page:
        check_limit(limit)

        def read(connection: sqlite3.Connection) -> Page:
            family, tables = _place(connection, index)
            query = query_of(family, where)
            keys = sort_keys(family.index.fields, sort)
            if not tables:
                return Page([], None, 0 if total else None)
            rows = connection.execute(*page_of(family, tables, query, sort, limit, after)).fetchall()
            hits = [Stored(row[0], row[1], str(row[2]), json.loads(row[3])) for row in rows[:limit]]
            following = encode_cursor(keys, rows[limit - 1][4:]) if len(rows) > limit else None
            counted = _count(connection, tables, query.where(), query.parameters) if total else None
            return Page(hits, following, counted)

        return await self._read(read)

    async def count(self, index: str, where: Where = ALL, *, fresh: bool = False) -> int:
        def read(connection: sqlite3.Connection) -> int:
            family, tables = _place(connection, index)
            query = query_of(family, where)
            return _count(connection, tables, query.where(), query.parameters)

        return await self._read(read)

    async def indexes(self, family: str) -> list[str]:
        def read(connection: sqlite3.Connection) -> list[str]:
            family_of(_families(connection), family, concrete=False)
            return schema.tables_of(connection, family)

        return await self._read(read)

    async def drop(self, index: str) -> None:
        await self._writer.submit(lambda store: store.drop(index))

    async def ping(self) -> None:
        await self._read(lambda connection: connection.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def _read(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        def run() -> Result:
            with self._snapshot() as connection:
                return read(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        except (sqlite3.Error, RuntimeError) as error:
            raise DocumentsUnavailable(f"the document store could not be read: {error}") from error

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, in one read transaction: a search over several tables sees one moment."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=10, check_same_thread=False)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            self._connections.append(connection)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")


def _families(connection: sqlite3.Connection) -> dict[str, Index]:
    return {name: family.index for name, family in schema.load_families(connection).items()}


def _place(connection: sqlite3.Connection, index: str) -> tuple[schema.Family, list[str]]:
    """The family of an index, and its tables: all months when the bare name is given."""
    families = schema.load_families(connection)
    known = {name: family.index for name, family in families.items()}
    family = families[family_of(known, index, concrete=False).name]
    tables = schema.tables_of(connection, family.index.name)
    if index != family.index.name:
        tables = [name for name in tables if name == index]
    return family, tables


def _get(connection: sqlite3.Connection, index: str, id: str) -> Stored | None:
    try:
        row = connection.execute(f"SELECT version, body FROM {schema.table(index)} WHERE id = ?", (id,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if row is None else Stored(index, id, str(row[0]), json.loads(row[1]))


def _count(connection: sqlite3.Connection, tables: Sequence[str], where: str, parameters: list[object]) -> int:
    return sum(
        connection.execute(f"SELECT count(*) FROM {schema.table(name)}{where}", parameters).fetchone()[0]
        for name in tables
    )
