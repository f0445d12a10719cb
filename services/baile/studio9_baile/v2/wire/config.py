"""What can be trained, as Salsa's forms read it."""

from typing import Any

from studio9_baile.v2.wire.base import Answer
from studio9_task.catalogue import (
    Architecture,
    BooleanParameter,
    Condition,
    Head,
    ParameterDefinition,
    StringParameter,
    WhenRange,
    WhenValue,
)


class ParameterAnswer(Answer):
    """A parameter; which of the optional fields there are depends on its type."""

    name: str
    description: str | None = None
    multiple: bool
    type: str
    conditions: dict[str, dict[str, Any]] | None = None
    options: list[Any] | None = None
    defaults: list[Any] | None = None
    min: float | int | None = None
    max: float | int | None = None
    step: float | int | None = None

    @classmethod
    def of(cls, definition: ParameterDefinition) -> "ParameterAnswer":
        conditions = {name: _condition(one) for name, one in definition.conditions.items()}
        common: dict[str, Any] = {
            "name": definition.name,
            "description": definition.description,
            "multiple": definition.multiple,
            "type": definition.type,
            "conditions": conditions or None,
            "defaults": None if definition.defaults is None else list(definition.defaults),
        }
        match definition:
            case BooleanParameter():
                return cls(**common)
            case StringParameter():
                # The UI reads the options of every text, so they are there even when they are none.
                return cls(**common, options=list(definition.options))
            case _:
                options = None if definition.options is None else list(definition.options)
                limits = {"min": definition.min, "max": definition.max, "step": definition.step}
                return cls(**common, options=options, **limits)


def _condition(condition: Condition) -> dict[str, Any]:
    match condition:
        case WhenValue():
            return {"value": condition.value}
        case WhenRange():
            return {
                name: value for name, value in (("min", condition.min), ("max", condition.max)) if value is not None
            }
        case _:
            return {"values": list(condition.values)}


class PrimitiveAnswer(Answer):
    """An architecture."""

    id: str
    name: str
    moduleName: str
    className: str
    packageName: str
    packageVersion: str | None = None
    params: list[ParameterAnswer] | None = None

    @classmethod
    def of(cls, one: Architecture) -> "PrimitiveAnswer":
        return cls(**_primitive(one))


class ConsumerAnswer(PrimitiveAnswer):
    """A classifier, detector or decoder."""

    isNeural: bool

    @classmethod
    def of_head(cls, one: Head) -> "ConsumerAnswer":
        return cls(**_primitive(one), isNeural=one.neural)


def _primitive(one: Architecture | Head) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "moduleName": one.module,
        "className": one.class_name,
        "packageName": one.package,
        "packageVersion": one.package_version,
        # The form demands a value of everything that it shows, and sends 0 or "null" for what it has none of: what may
        # be left out altogether is for the other ways to train.
        "params": [ParameterAnswer.of(definition) for definition in one.parameters if definition.defaults] or None,
    }


class BucketAnswer(Answer):
    id: str
    name: str
