"""Which frameworks this environment has, and what they offer together; importing this imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING

from studio9_task import tiles, tuning
from studio9_task.catalogue import Architecture, Catalogue, Head, TaskInput, TaskKind, union
from studio9_task.layout import CODE, MODEL
from studio9_task.parameters import ExportFormat
from studio9_trainers.capabilities import TASK_OF_CONSUMER, Capabilities, Task

if TYPE_CHECKING:
    from studio9_trainers.trainer import Order, Trainer

GROUP = "studio9.trainers"
"""The entry-point group in which a package announces its Framework."""

OWN = "studio9"
"""The framework of kinds that need no model."""

OWN_TASKS = (
    TaskKind(
        kind="tile",
        framework=OWN,
        inputs=(TaskInput(name="pictures", holds="pictures"),),
        parameters=tiles.PARAMETERS,
    ),
    TaskKind(
        kind="tune",
        framework=OWN,
        inputs=(TaskInput(name="train", holds="pictures"), TaskInput(name="val", holds="pictures", required=False)),
        parameters=tuning.PARAMETERS,
    ),
    TaskKind(
        kind="trial",
        framework=OWN,
        inputs=(
            TaskInput(name="train", holds="pictures"),
            TaskInput(name="val", holds="pictures", required=False),
            TaskInput(name=tuning.STATE, holds="checkpoint", required=False),
        ),
    ),
    TaskKind(kind="augment", framework=OWN, inputs=(TaskInput(name="pictures", holds="pictures"),)),
    TaskKind(kind="analyse", framework=OWN, inputs=(TaskInput(name="pictures", holds="pictures"),)),
    TaskKind(kind="frames", framework=OWN, inputs=(TaskInput(name="video", holds="video"),)),
    TaskKind(kind="video", framework=OWN, inputs=(TaskInput(name="frames", holds="pictures"),)),
)


@dataclass(frozen=True)
class Framework:
    """What an entry point names: data for the catalogue, and where the trainer is once it is needed.

    `capabilities` may look at what is installed, but imports nothing heavy. What it does not tell is not offered.
    """

    name: str
    architectures: tuple[Architecture, ...]
    heads: tuple[Head, ...]
    capabilities: Callable[[], tuple[Capabilities, ...]]
    trainer: Callable[[Task, Order], Trainer]

    def catalogue(self, version: str) -> Catalogue:
        """What it offers here: the heads of the tasks that it can do, what they fit on, and the kinds that run."""
        known = self.capabilities()
        tasks = {one.task for one in known}
        heads = tuple(one for one in self.heads if TASK_OF_CONSUMER[one.consumer] in tasks)
        used = {key for one in heads for key in one.architectures}
        architectures = tuple(one for one in self.architectures if one.id in used)
        return Catalogue(version=version, architectures=architectures, heads=heads, tasks=kinds(self.name, known))


def frameworks() -> dict[str, Framework]:
    """All frameworks of this environment, by name."""
    found = [point.load() for point in entry_points(group=GROUP)]
    return {framework.name: framework for framework in sorted(found, key=lambda one: one.name)}


def catalogue() -> Catalogue:
    """What this environment can do; imports no framework."""
    own = version("studio9-trainers")
    return union([*(one.catalogue(own) for one in frameworks().values()), Catalogue(version=own, tasks=OWN_TASKS)])


TRAINED = TaskInput(name=MODEL, holds="model")
OWN_CODE = TaskInput(name=CODE, holds="code")
INPUTS: dict[str, tuple[TaskInput, ...]] = {
    "train": (
        TaskInput(name="train", holds="pictures"),
        TaskInput(name="val", holds="pictures", required=False),
        TaskInput(name="test", holds="pictures", required=False),
        TaskInput(name=MODEL, holds="model", required=False),
        TaskInput(name="checkpoint", holds="checkpoint", required=False),
    ),
    "evaluate": (TRAINED, TaskInput(name="test", holds="pictures")),
    "predict": (TRAINED, TaskInput(name="predict", holds="pictures")),
    "export": (TRAINED, TaskInput(name="test", holds="pictures", required=False)),
}
"""The inputs of the kinds that need a framework."""


def kinds(framework: str, capabilities: Iterable[Capabilities]) -> tuple[TaskKind, ...]:
    """The kinds that a framework can run, each for at least one of its tasks."""
    known = tuple(capabilities)
    runs = {
        "train": bool(known),
        "evaluate": any(one.evaluate != "none" for one in known),
        "predict": any(one.predict for one in known),
        "export": any(one.export for one in known),
    }
    own = (OWN_CODE,) if any(one.sandbox_only for one in known) else ()
    said = {"export": "; ".join(f"{one.task}: {', '.join(one.export)}" for one in known if one.export)}
    return tuple(
        TaskKind(kind=kind, framework=framework, inputs=(*inputs, *own), description=said.get(kind))
        for kind, inputs in INPUTS.items()
        if runs[kind]
    )


def exporting(format: ExportFormat) -> tuple[str, ...]:
    """The pairs of framework and task whose models can be written in a format, as `yolo to detect`."""
    return tuple(
        f"{one.framework} to {one.task}"
        for framework in frameworks().values()
        for one in framework.capabilities()
        if format in one.export
    )
