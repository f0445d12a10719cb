"""What all wire models share."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _milliseconds(value: datetime) -> str:
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


Moment = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str)]
"""A time as `/v2.0` writes it: UTC, milliseconds, `Z`."""


def _whole(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise ValueError("give a whole number, not a text or true or false")
    return value


Number = Annotated[float, Field(strict=True)]
"""A number of a request: 1 and 1.5, but neither true nor "1"."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number of a request: 512 and 512.0, but neither true nor "512"."""


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
