"""Families and tables of the SQLite store.

`families` holds what ensure() made known; `counter` the last version given out, so that a version never comes again,
not even after a document was deleted. Each concrete index is a table `doc_<index>` of (id, version, body) with one
index per searchable field over the extracted value.
"""

import json
import sqlite3
from dataclasses import dataclass

from studio9_common.documents.checking import EXTRA, Checker
from studio9_common.documents.port import FieldType, Index, MappingConflict

_TABLES = """
CREATE TABLE IF NOT EXISTS families (name TEXT PRIMARY KEY, monthly INTEGER NOT NULL, fields TEXT NOT NULL,
    lists TEXT NOT NULL DEFAULT '[]');
CREATE TABLE IF NOT EXISTS counter (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""


@dataclass(frozen=True, slots=True)
class Family:
    """A family as stored. `lists`: the keyword fields that have ever held a list, which searches must look into."""

    index: Index
    lists: frozenset[str]
    checker: Checker


def prepare(connection: sqlite3.Connection) -> None:
    """Makes the store's own tables."""
    connection.executescript(_TABLES)


def expression(field: str) -> str:
    """The SQL of a field's value; the indexes are built over exactly this text."""
    return "id" if field == "id" else f"json_extract(body,'$.{field}')"


def table(index: str) -> str:
    """The quoted table of a concrete index."""
    return f'"doc_{index}"'


def load_families(connection: sqlite3.Connection) -> dict[str, Family]:
    """All families of the file by name."""
    families = {}
    for name, monthly, fields, lists in connection.execute("SELECT name, monthly, fields, lists FROM families"):
        kinds = {field: FieldType(kind) for field, kind in json.loads(fields).items()}
        index = Index(name, kinds, bool(monthly))
        families[name] = Family(index, frozenset(json.loads(lists)), Checker(kinds))
    return families


def tables_of(connection: sqlite3.Connection, family: str) -> list[str]:
    """The concrete indexes of a family, in order of their names."""
    rows = connection.execute(
        "SELECT substr(name, 5) FROM sqlite_master WHERE type = 'table'"
        " AND (name = 'doc_' || ?1 OR (name > 'doc_' || ?1 || '-' AND name < 'doc_' || ?1 || '.')) ORDER BY name",
        (family,),
    )
    return [row[0] for row in rows]


def extend_family(connection: sqlite3.Connection, index: Index) -> None:
    """Adds a family, or new fields to it and to its tables. Raises MappingConflict where a type would change."""
    known = load_families(connection).get(index.name)
    fields = {**(known.index.fields if known else {EXTRA: FieldType.stored})}
    for name, kind in index.fields.items():
        if fields.setdefault(name, kind) is not kind:
            raise MappingConflict(
                f"{index.name}.{name} is {fields[name]} and cannot become {kind}",
                field=name,
                fix="add a field with a new name",
            )
    if known and known.index.monthly is not index.monthly:
        raise MappingConflict(f"{index.name} cannot change between monthly and not", field="monthly")
    connection.execute(
        "INSERT INTO families (name, monthly, fields) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET fields = excluded.fields",
        (index.name, int(index.monthly), json.dumps(fields)),
    )
    for name in tables_of(connection, index.name):
        _make_indexes(connection, name, Index(index.name, fields, index.monthly))


def make_table(connection: sqlite3.Connection, name: str, family: Index) -> None:
    """The table of a concrete index and the indexes over its searchable fields."""
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table(name)} (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)"
    )
    _make_indexes(connection, name, family)


def _make_indexes(connection: sqlite3.Connection, name: str, family: Index) -> None:
    for field, kind in family.fields.items():
        if kind is not FieldType.stored:
            connection.execute(
                f'CREATE INDEX IF NOT EXISTS "{name}:{field}" ON {table(name)} ({expression(field)}, id)'
            )


def add_lists(connection: sqlite3.Connection, family: Family, fields: frozenset[str]) -> Family:
    """Remembers that these fields hold lists from now on."""
    lists = family.lists | fields
    connection.execute("UPDATE families SET lists = ? WHERE name = ?", (json.dumps(sorted(lists)), family.index.name))
    return Family(family.index, lists, family.checker)
