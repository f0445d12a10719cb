"""What all wire models share."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer


def _milliseconds(value: datetime) -> str:
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


Moment = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str)]
"""A time as `/v2.0` writes it: UTC, milliseconds, `Z`."""


class Answer(BaseModel):
    """A strict answer: its fields are the contract, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Body(BaseModel):
    """A request's body. Unknown fields are ignored, null counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=(), allow_inf_nan=False)


Item = TypeVar("Item")


class Listed(Answer, Generic[Item]):
    """A page of a list; `count` is how many there are in all."""

    data: list[Item]
    count: int


class Removed(Answer):
    """What a deletion answers."""

    id: str


class Nothing(Answer):
    """`{}`."""
