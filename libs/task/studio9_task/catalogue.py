"""What an environment or image can do, as data: `studio9-task --catalogue` prints it."""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from studio9_task.model import Contract, Name, Versioned
from studio9_task.sharing import shared, whole

Scalar = bool | int | float | str


class WhenValue(Contract):
    """Holds while a boolean parameter has this value."""

    value: bool


class WhenValues(Contract):
    """Holds while a parameter has one of these values."""

    values: tuple[str | int | float, ...]


class WhenRange(Contract):
    """Holds while a number lies between the two, ends included."""

    min: float | None = None
    max: float | None = None


Condition = WhenValue | WhenValues | WhenRange


class _Parameter(Contract):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: str | None = None
    multiple: bool = Field(default=False, description="the value is a list")
    conditions: Mapping[str, Condition] = Field(
        default_factory=dict, description="other parameter: what must hold of it for this one to be valid"
    )


class IntParameter(_Parameter):
    """A whole number."""

    type: Literal["int"] = "int"
    options: tuple[int, ...] | None = None
    defaults: tuple[int, ...] | None = None
    min: int | None = None
    max: int | None = None
    step: int | None = None


class FloatParameter(_Parameter):
    """A number; a whole one will do."""

    type: Literal["float"] = "float"
    options: tuple[float, ...] | None = None
    defaults: tuple[float, ...] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None


class BooleanParameter(_Parameter):
    """True or false."""

    type: Literal["boolean"] = "boolean"
    defaults: tuple[bool, ...] | None = None


class StringParameter(_Parameter):
    """A text; one of `options` unless they are empty."""

    type: Literal["string"] = "string"
    options: tuple[str, ...] = ()
    defaults: tuple[str, ...] | None = None


ParameterDefinition = Annotated[
    IntParameter | FloatParameter | BooleanParameter | StringParameter, Field(discriminator="type")
]
Consumer = Literal["classifier", "detector", "decoder", "segmenter", "pose_estimator", "turned_detector"]


class _Primitive(Contract):
    id: Annotated[str, Field(min_length=1, max_length=100)]
    name: str
    framework: Name
    description: str | None = None
    package: str
    package_version: str | None = None
    module: str
    class_name: str
    parameters: tuple[ParameterDefinition, ...] = ()


class Architecture(_Primitive):
    """A backbone: pictures to features."""


class Head(_Primitive):
    """What makes something of features: labels, boxes, the picture again, masks, keypoints or turned boxes."""

    consumer: Consumer
    neural: bool = True
    architectures: tuple[str, ...] = Field(description="ids that it fits on")


class TaskInput(Contract):
    """One input of a task kind."""

    name: Name
    holds: Literal["pictures", "model", "checkpoint", "video", "code"] = "pictures"
    required: bool = True


class TaskKind(Contract):
    """A kind of task that a framework can run, with the parameters that are its own."""

    kind: Name
    framework: Name
    inputs: tuple[TaskInput, ...] = ()
    parameters: tuple[ParameterDefinition, ...] = ()
    description: str | None = None


class Catalogue(Versioned):
    """All that one environment or image can do. As JSON it may have a list `shared` of parameters; where one of them
    belongs then stands its place in it, from 0 (studio9_task.sharing)."""

    version: str = Field(description="of the trainers that printed it")
    architectures: tuple[Architecture, ...] = ()
    heads: tuple[Head, ...] = ()
    tasks: tuple[TaskKind, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        return whole(given)

    def needs_code(self, framework: str) -> bool:
        """Whether a framework's trainer is the user's own, so that every task of it is given their code."""
        return any(
            task.framework == framework and any(one.holds == "code" and one.required for one in task.inputs)
            for task in self.tasks
        )

    def printed(self) -> str:
        """As JSON without what readers take for granted, and nothing twice: a message must hold it."""
        plain = _without_defaults(self.model_dump(mode="json", exclude_none=True))
        return json.dumps(shared(plain), separators=(",", ":"))


def _without_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_defaults(one) for one in value]
    if isinstance(value, dict):
        given: dict[str, Any] = {"multiple": False, "conditions": {}, "options": [], "parameters": []}
        given |= {"neural": True, "required": True, "holds": "pictures"}
        return {key: _without_defaults(one) for key, one in value.items() if key not in given or one != given[key]}
    return value


def union(catalogues: Iterable[Catalogue]) -> Catalogue:
    """What any of several catalogues offers; of two entries with one id the first stays; sorted by id."""
    known = list(catalogues)
    architectures: dict[str, Architecture] = {}
    heads: dict[str, Head] = {}
    tasks: dict[tuple[str, str], TaskKind] = {}
    for each in known:
        architectures = {one.id: one for one in each.architectures} | architectures
        heads = {one.id: one for one in each.heads} | heads
        tasks = {(one.kind, one.framework): one for one in each.tasks} | tasks
    return Catalogue(
        version=known[0].version if known else "0",
        architectures=tuple(sorted(architectures.values(), key=lambda one: one.id)),
        heads=tuple(sorted(heads.values(), key=lambda one: one.id)),
        tasks=tuple(sorted(tasks.values(), key=lambda one: (one.kind, one.framework))),
    )
