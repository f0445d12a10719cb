"""Conditions and paging as SQL over the extracted values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from studio9_common.documents.checking import alternatives, check_where, sort_keys
from studio9_common.documents.cursors import decode_cursor
from studio9_common.documents.embedded.schema import Family, expression, table
from studio9_common.documents.port import Where

_LAST = "\U0010ffff"


@dataclass(slots=True)
class Query:
    """A condition in SQL, ready to be put over any table of the family."""

    conditions: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)

    def add(self, condition: str, *parameters: Any) -> None:
        self.conditions.append(condition)
        self.parameters.extend(parameters)

    def where(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def query_of(family: Family, where: Where) -> Query:
    """Raises BadInput for a condition that the family cannot answer."""
    check_where(family.index.fields, where)
    query = Query()
    for name, value in where.equals.items():
        _equals(query, family, name, value, negated=False)
    for name, value in where.differs.items():
        _equals(query, family, name, value, negated=True)
    for name, value in where.at_least.items():
        query.add(f"{expression(name)} >= ?", value)
    for name, value in where.below.items():
        query.add(f"{expression(name)} < ?", value)
    for name, text in where.prefix.items():
        _any(query, family, name, "{0} >= ? AND {0} < ?", [text, text + _LAST])
    return query


def _equals(query: Query, family: Family, name: str, value: Any, *, negated: bool) -> None:
    values, missing = alternatives(value)
    parts = Query()
    if values:
        _any(parts, family, name, f"{{0}} IN ({', '.join('?' * len(values))})", values)
    if missing:
        empty = f" OR {expression(name)} = '[]'" if name in family.lists else ""
        parts.add(f"({expression(name)} IS NULL{empty})")
    either = " OR ".join(parts.conditions) or "0"
    query.add(f"NOT coalesce({either}, 0)" if negated else f"({either})", *parts.parameters)


def _any(query: Query, family: Family, name: str, condition: str, parameters: Sequence[Any]) -> None:
    """A condition on the value, or on any element where the field holds lists."""
    if name in family.lists:
        inner = condition.format("value")
        query.add(f"EXISTS (SELECT 1 FROM json_each(body, '$.{name}') WHERE {inner})", *parameters)
    else:
        query.add(f"({condition.format(expression(name))})", *parameters)


def page_of(
    family: Family, tables: Sequence[str], query: Query, sort: Sequence[str], limit: int, after: str | None
) -> tuple[str, list[Any]]:
    """The statement of one page over these tables, one row more than `limit`, and its parameters.

    Columns: index, id, version, body, then the values of the sort keys. Missing values come last either way.
    """
    keys = sort_keys(family.index.fields, sort)
    bounded = Query(list(query.conditions), list(query.parameters))
    if after is not None:
        _after(bounded, keys, decode_cursor(keys, after))
    names = [f"k{position}" for position in range(len(keys))]
    columns = ", ".join(f"{expression(name)} AS {alias}" for (name, _), alias in zip(keys, names, strict=True))
    selects = [
        f"SELECT '{index}' AS place, id, version, body, {columns} FROM {table(index)}{bounded.where()}"
        for index in tables
    ]
    order = ", ".join(
        f"{alias} {'DESC' if descending else 'ASC'} NULLS LAST"
        for (_, descending), alias in zip(keys, names, strict=True)
    )
    statement = f"SELECT * FROM ({' UNION ALL '.join(selects)}) ORDER BY {order} LIMIT {limit + 1}"
    return statement, bounded.parameters * len(tables)


def _after(query: Query, keys: Sequence[tuple[str, bool]], values: Sequence[Any]) -> None:
    """Strictly beyond the cursor: equal in the first keys and beyond it in the next one."""
    either: list[str] = []
    parameters: list[Any] = []
    for position, ((name, descending), value) in enumerate(zip(keys, values, strict=True)):
        if value is None:
            continue  # missing values come last: nothing lies beyond in this key
        before = [f"{expression(earlier)} IS ?" for earlier, _ in keys[:position]]
        key = expression(name)
        before.append(f"({key} {'<' if descending else '>'} ? OR {key} IS NULL)")
        either.append(f"({' AND '.join(before)})")
        parameters += [*values[:position], value]
    query.add(f"({' OR '.join(either)})" if either else "0", *parameters)
