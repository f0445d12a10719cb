"""Which part of a list, in which order, holding which text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, asc, desc, nulls_last
from sqlalchemy.orm import InstrumentedAttribute

from studio9_common.errors import BadInput


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 1. `order` are field names of the API, with `-` before those that fall."""

    number: int = 1
    size: int = 30
    order: tuple[str, ...] = ()
    search: str = ""

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def sorted(self, columns: Mapping[str, Any]) -> list[UnaryExpression[Any]]:
        """The ORDER BY. Raises BadInput for a field that is not among `columns`."""
        result = []
        for item in self.order:
            falling, field = item.startswith("-"), item.removeprefix("-")
            if field not in columns:
                raise BadInput(
                    f"Sorting field not known: {field!r}",
                    field="order",
                    value=field,
                    fix=f"use one of {', '.join(sorted(columns))}",
                )
            result.append(nulls_last(desc(columns[field]) if falling else asc(columns[field])))
        return result


def like(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    """Whether a text holds another, as plain text (no pattern), whatever the case."""
    return column.icontains(text, autoescape=True)
