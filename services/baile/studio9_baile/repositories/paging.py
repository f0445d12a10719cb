"""Which part of a list, in which order, holding which text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, asc, desc, nulls_first, nulls_last
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

    def sorted(self, columns: Mapping[str, Any], *, backwards: bool = False) -> list[UnaryExpression[Any]]:
        """The ORDER BY, values that are absent last; `backwards` is the same from the end. Raises BadInput for a field
        that is not among `columns`."""
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
            column = columns[field]
            one = desc(column) if falling != backwards else asc(column)
            # Only where it says something: an index does not know that a column is never empty.
            if _may_be_absent(column):
                one = nulls_first(one) if backwards else nulls_last(one)
            result.append(one)
        return result


def _may_be_absent(column: Any) -> bool:
    return not isinstance(column, InstrumentedAttribute) or bool(column.property.columns[0].nullable)


def like(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    """Whether a text holds another, as plain text (no pattern), whatever the case."""
    return column.icontains(text, autoescape=True)
