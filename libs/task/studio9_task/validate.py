"""Judging a request by the catalogue before it is queued."""

from collections.abc import Iterable, Mapping
from typing import Any

from studio9_task.catalogue import (
    Catalogue,
    FloatParameter,
    IntParameter,
    ParameterDefinition,
    StringParameter,
    WhenRange,
    WhenValue,
    WhenValues,
)
from studio9_task.problems import Problem, shown


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
