"""What happens inside a write transaction of the SQLite store. Used by the writer's thread alone."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from studio9_common.documents.checking import to_json
from studio9_common.documents.embedded import schema
from studio9_common.documents.names import check_id, family_of
from studio9_common.documents.port import (
    Body,
    DocumentMissing,
    Index,
    MappingConflict,
    NotDurable,
    VersionConflict,
    Write,
    Written,
)
from studio9_common.errors import BadInput, Studio9Error


class Store:
    """The write connection, with the families and tables it knows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._families: dict[str, schema.Family] = {}
        self._tables: set[str] = set()
        self._version = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens or makes the file, in WAL mode, each commit synced. Raises NotDurable where that cannot be had."""
        connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        if mode != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            connection.close()
            raise NotDurable(fix="put the file on a local disk")
        schema.prepare(connection)
        return cls(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end, synced; on an error nothing has happened."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._version = self._connection.execute("SELECT version FROM counter").fetchone()[0]
            before = self._version
            yield
            if self._version != before:
                self._connection.execute("UPDATE counter SET version = ?", (self._version,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._families.clear()
            self._tables.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def ensure(self, indexes: tuple[Index, ...]) -> None:
        """Makes families known. Raises MappingConflict."""
        self._connection.execute("SAVEPOINT ensure")
        try:
            for index in indexes:
                schema.extend_family(self._connection, index)
        except Studio9Error:
            self._connection.execute("ROLLBACK TO ensure")
            raise
        finally:
            self._connection.execute("RELEASE ensure")
        self._families = schema.load_families(self._connection)

    def drop(self, index: str) -> None:
        """Removes the table of a concrete index."""
        family_of(self._known(), index)
        self._connection.execute(f"DROP TABLE IF EXISTS {schema.table(index)}")
        self._tables.discard(index)

    def write_all(self, writes: list[Write]) -> list[Written]:
        """Each write with its own outcome."""
        return [self.write(write) for write in writes]

    def write(self, write: Write) -> Written:
        """One write; what is refused is in the outcome."""
        try:
            return Written(self._write(write))
        except Studio9Error as error:
            return Written(error=error)

    def _write(self, write: Write) -> str | None:
        check_id(write.id)
        family = self._family(write.index)
        if write.action == "delete":
            self._delete(write)
            return None
        if write.body is None:
            raise BadInput(f"a {write.action} needs a body", field="body")
        text = self._text(family, write.body)
        current = self._current(write)
        if write.action == "create" and current is not None:
            raise VersionConflict(f"{write.index}/{write.id} exists already")
        if write.action == "replace":
            self._check_version(write, current)
        self._version += 1
        self._connection.execute(
            f"INSERT INTO {schema.table(write.index)} (id, version, body) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body",
            (write.id, self._version, text),
        )
        return str(self._version)

    def _delete(self, write: Write) -> None:
        current = self._current(write)
        if write.version is not None:
            self._check_version(write, current)
        if current is None:
            raise DocumentMissing(f"there is no {write.index}/{write.id}")
        self._connection.execute(f"DELETE FROM {schema.table(write.index)} WHERE id = ?", (write.id,))

    def _check_version(self, write: Write, current: str | None) -> None:
        if current is None:
            raise DocumentMissing(f"there is no {write.index}/{write.id}")
        if current != write.version:
            raise VersionConflict(f"{write.index}/{write.id} has another version by now")

    def _current(self, write: Write) -> str | None:
        if write.index not in self._tables:
            schema.make_table(self._connection, write.index, self._family(write.index).index)
            self._tables.add(write.index)
        row = self._connection.execute(
            f"SELECT version FROM {schema.table(write.index)} WHERE id = ?", (write.id,)
        ).fetchone()
        return None if row is None else str(row[0])

    def _known(self) -> dict[str, Index]:
        if not self._families:
            self._families = schema.load_families(self._connection)
        return {name: family.index for name, family in self._families.items()}

    def _family(self, index: str) -> schema.Family:
        known = self._families.get(index.partition("-")[0])
        if known is None:
            self._families = schema.load_families(self._connection)
        name = family_of(self._known(), index).name
        return self._families[name]

    def _text(self, family: schema.Family, body: Body) -> str:
        try:
            family.checker.check(body)
        except MappingConflict:
            self._families = schema.load_families(self._connection)  # another process may have added the field
            family = self._families[family.index.name]
            family.checker.check(body)
        lists = frozenset(name for name in family.index.fields if isinstance(body.get(name), list))
        searched = {name for name in lists if family.index.fields[name] != "stored"}
        if not searched <= family.lists:
            self._families[family.index.name] = schema.add_lists(self._connection, family, frozenset(searched))
        return to_json(body).decode()

    def close(self) -> None:
        self._connection.close()
