"""What all bodies and answers of `/v1` share, and how its lists are paged."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, PlainSerializer

from studio9_baile.repositories.base import Slice
from studio9_common.errors import BadInput
from studio9_common.times import format_time

Time = Annotated[datetime, PlainSerializer(lambda value: format_time(value.astimezone(UTC)), return_type=str)]
"""A time as `/v1` writes it: RFC 3339, UTC, microseconds, `Z`."""
Id = Annotated[str, Path(min_length=1, max_length=100)]
"""An id in a path."""


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Answer(BaseModel):
    """An answer: its fields are the contract."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """A page of a list, newest first; `next` is the `cursor` of the page after it, absent on the last."""

    items: Sequence[Item]
    next: str | None = None


def paged(items: Sequence[Item], ids: Sequence[str], wanted: Slice) -> Page[Item]:
    """The answer for a slice; `ids` are those of its items."""
    full = len(items) == wanted.limit
    return Page(items=items, next=_cursor(ids[-1]) if full and ids else None)


def _cursor(identifier: str) -> str:
    return base64.urlsafe_b64encode(identifier.encode()).decode().rstrip("=")


async def slice_of(
    cursor: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Slice:
    """The page that was asked for. Raises BadInput for a cursor that is none of ours."""
    if not cursor:
        return Slice(None, limit)
    try:
        before = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        before = ""
    if not before or not before.isprintable():
        raise BadInput("This is no cursor of ours", field="cursor", fix="send `next` of the page before, or nothing")
    return Slice(before, limit)


TheSlice = Annotated[Slice, Depends(slice_of)]
