"""The settings that are searched, and between which values."""

from collections.abc import Mapping
from typing import Any

import optuna
from pydantic import TypeAdapter, ValidationError

from studio9_task.tuning import Between, Range
from studio9_trainers.errors import UserError
from studio9_trainers.texts import value_of

SPACE: TypeAdapter[dict[str, Range]] = TypeAdapter(dict[str, Range])


def distribution(one: Range) -> optuna.distributions.BaseDistribution:
    """A range as the sampler wants it. Raises ValueError for one without a value in it."""
    if not isinstance(one, Between):
        return optuna.distributions.CategoricalDistribution(one.values)
    if one.kind == "int":
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)


def checked(space: Mapping[str, Range]) -> Mapping[str, Range]:
    """The space. Raises UserError, naming the range that has no value in it."""
    for name, one in space.items():
        try:
            distribution(one)
        except ValueError as error:
            raise UserError(f"vary.{name}: {error}: give low below high, with log above 0.", "bad_parameters") from None
    return space


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
            distribution(space[name])
        except (ValueError, ValidationError):
            raise UserError(
                f"--vary {name}={text}: write LOW..HIGH, LOW..HIGH:log or A,B,C.", "bad_parameters"
            ) from None
    return space
