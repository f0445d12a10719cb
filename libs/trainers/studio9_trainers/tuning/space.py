"""The settings that are searched, and between which values."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import optuna
from pydantic import Field, TypeAdapter, ValidationError

from studio9_task.model import Contract
from studio9_trainers.errors import UserError
from studio9_trainers.texts import value_of


class Between(Contract):
    """A number from `low` to `high`; with `log` tenfold counts alike everywhere."""

    kind: Literal["int", "float"]
    low: float
    high: float
    log: bool = False

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As the sampler wants it."""
        if self.kind == "int":
            return optuna.distributions.IntDistribution(int(self.low), int(self.high), log=self.log)
        return optuna.distributions.FloatDistribution(self.low, self.high, log=self.log)


class OneOf(Contract):
    """One of some values."""

    kind: Literal["one_of"] = "one_of"
    values: tuple[bool | int | float | str, ...] = Field(min_length=1)

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As the sampler wants it."""
        return optuna.distributions.CategoricalDistribution(self.values)


Range = Annotated[Between | OneOf, Field(discriminator="kind")]
SPACE: TypeAdapter[dict[str, Range]] = TypeAdapter(dict[str, Range])


def parsed(pairs: Mapping[str, str]) -> dict[str, Any]:
    """A space from texts: `1e-4..1e-1` (with `:log` at its end where tenfold counts), `2..8`, `AdamW,SGD`.

    Raises UserError, naming what can't be read.
    """
    space: dict[str, Any] = {}
    for name, text in pairs.items():
        body, _, mark = text.partition(":")
        low, dots, high = body.partition("..")
        try:
            given: dict[str, Any]
            if dots:
                whole = all(part.lstrip("-").isdigit() for part in (low, high))
                given = {
                    "kind": "int" if whole else "float",
                    "low": float(low),
                    "high": float(high),
                    "log": mark == "log",
                }
            else:
                given = {"kind": "one_of", "values": [value_of(part) for part in body.split(",")]}
            space |= SPACE.validate_python({name: given})
            space[name].distribution()
        except (ValueError, ValidationError):
            raise UserError(
                f"--vary {name}={text}: write LOW..HIGH, LOW..HIGH:log or A,B,C.", "bad_parameters"
            ) from None
    return space
