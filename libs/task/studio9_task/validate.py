"""Judging a request by the catalogue before it is queued."""

from collections.abc import Iterable, Mapping
from typing import Any

from studio9_task.catalogue import (
    Catalogue,
    FloatParameter,
    Head,
    IntParameter,
    ParameterDefinition,
    StringParameter,
    WhenRange,
    WhenValue,
    WhenValues,
)
from studio9_task.problems import Problem, shown
from studio9_task.tuning import RATE, Between, Range, TuneParameters

OWN_SETTINGS = ("epochs", "seed")
"""Parameters of a training that a search sets: its rungs, and the seeds of its trials."""


def validate_parameters(
    definitions: Iterable[ParameterDefinition], values: Mapping[str, Any], prefix: str = ""
) -> list[Problem]:
    """What is wrong with `values`, each finding naming field, value and fix; empty when all is well.

    A value of none counts as absent. A parameter whose conditions don't hold must be absent.
    """
    known = {one.name: one for one in definitions}
    given = {name: value for name, value in values.items() if value is not None}
    effective = with_defaults(known.values(), given)
    problems: list[Problem] = []
    for name, value in given.items():
        field = f"{prefix}{name}"
        definition = known.get(name)
        fix: str | None
        if definition is None:
            fix = f"there is no such parameter; known are {', '.join(sorted(known)) or 'none'}"
        elif (unmet := _unmet(definition, effective)) is not None:
            fix = f"leave it out unless {unmet}"
        else:
            fix = _fix(definition, value)
        if fix is not None:
            problems.append(Problem(field=field, value=shown(value), fix=fix))
    return problems


def with_defaults(definitions: Iterable[ParameterDefinition], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the defaults of those parameters that are absent or none and have some."""
    filled = {name: value for name, value in values.items() if value is not None}
    for one in definitions:
        if one.name not in filled and one.defaults:
            filled[one.name] = list(one.defaults) if one.multiple else one.defaults[0]
    return filled


def validate_pair(catalogue: Catalogue, architecture: str, head: str) -> list[Problem]:
    """Whether the head fits on the architecture; the finding names the valid ones."""
    architectures = [one.id for one in catalogue.architectures]
    if architecture not in architectures:
        return [_unknown("architecture", architecture, architectures)]
    heads = {one.id: one for one in catalogue.heads}
    fitting = [one.id for one in catalogue.heads if architecture in one.architectures]
    if head not in heads:
        return [_unknown("head", head, fitting)]
    if head not in fitting:
        fix = f"it does not fit on {architecture}; use {', '.join(fitting) or 'another architecture'}"
        return [Problem(field="head", value=shown(head), fix=fix)]
    return []


def validate_search(head: Head, search: TuneParameters) -> list[Problem]:
    """What is wrong with what a search varies, as `vary.NAME`, or with what its training has besides, as
    `train.head_parameters.NAME`; empty when each of its trials can be trained with."""
    known = {one.name: one for one in head.parameters}
    fixes = {name: _not_varied(name, one, known) for name, one in search.vary.items()}
    problems = [
        Problem(field=f"vary.{name}", value=shown(_ends(search.vary[name])), fix=fix)
        for name, fix in fixes.items()
        if fix is not None
    ]
    if problems:
        return problems
    # What holds at both ends of a range, the others at their beginnings, holds everywhere: a condition is of one
    # parameter, and ranges have no gaps.
    ends = {name: _ends(one) for name, one in search.vary.items() if name != RATE}
    base = dict(search.train.head_parameters) | {name: values[0] for name, values in ends.items()}
    found: dict[str, Problem] = {}
    for name, values in ends.items():
        for value in values:
            for one in validate_parameters(head.parameters, base | {name: value}):
                field = f"vary.{one.field}" if one.field in ends else f"train.head_parameters.{one.field}"
                found.setdefault(field, one.model_copy(update={"field": field}))
    return list(found.values())


def _ends(one: Range) -> tuple[Any, ...]:
    return (one.low, one.high) if isinstance(one, Between) else one.values


def _not_varied(name: str, one: Range, known: Mapping[str, ParameterDefinition]) -> str | None:
    """How to mend a range that no trial can take its values from."""
    if name in OWN_SETTINGS:
        return f"leave it out: a search decides {name} itself"
    if isinstance(one, Between):
        if one.kind == "int" and not (one.low.is_integer() and one.high.is_integer()):
            return "give whole numbers as low and high, or kind float"
        if one.low > one.high or (one.log and one.low <= 0):
            return "give low below high, with log above 0"
    if name == RATE:
        right = all(_is_number(value) and 0 < value <= 1 for value in _ends(one))
        return None if right else "give learning rates above 0, at most 1"
    definition = known.get(name)
    if definition is None:
        return f"the head has no such parameter; it has {', '.join((RATE, *sorted(known)))}"
    if definition.multiple:
        return "leave it out: of a list nothing can be varied"
    if isinstance(one, Between) and getattr(definition, "options", None):
        return "give kind one_of, with some of its options as values"
    if isinstance(one, Between) and one.kind == "float" and isinstance(definition, IntParameter):
        return "give kind int: it is a whole number"
    return None


def _unknown(field: str, value: str, known: list[str]) -> Problem:
    return Problem(field=field, value=shown(value), fix=f"it is not offered; use one of {', '.join(known) or 'none'}")


def _unmet(definition: ParameterDefinition, values: Mapping[str, Any]) -> str | None:
    for other, condition in definition.conditions.items():
        value = values.get(other)
        match condition:
            case WhenValue(value=wanted):
                if value is not wanted:
                    return f"{other} is {str(wanted).lower()}"
            case WhenValues(values=wanted):
                if value not in wanted:
                    return f"{other} is one of {', '.join(map(str, wanted))}"
            case WhenRange(min=low, max=high):
                if not _is_number(value) or not _within(value, low, high):
                    return f"{other} is {_range(low, high)}"
    return None


def _fix(definition: ParameterDefinition, value: Any) -> str | None:
    if not definition.multiple:
        return _fix_one(definition, value)
    if not isinstance(value, (list, tuple)):
        return "give a list"
    return next((fix for one in value if (fix := _fix_one(definition, one)) is not None), None)


def _fix_one(definition: ParameterDefinition, value: Any) -> str | None:
    match definition:
        case IntParameter() | FloatParameter():
            whole = isinstance(definition, IntParameter)
            if not _is_number(value) or (whole and not float(value).is_integer()):
                return "give a whole number" if whole else "give a number"
            if definition.options and value not in definition.options:
                return f"use one of {', '.join(map(str, definition.options))}"
            if not _within(value, definition.min, definition.max):
                return f"give a number that is {_range(definition.min, definition.max)}"
            return None
        case StringParameter(options=options):
            if not isinstance(value, str):
                return "give a text"
            return f"use one of {', '.join(options)}" if options and value not in options else None
        case _:
            return None if isinstance(value, bool) else "give true or false"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _within(value: Any, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}"
