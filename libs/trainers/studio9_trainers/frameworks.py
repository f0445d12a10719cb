"""Which frameworks this environment has, and what they offer together; importing this imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING

from studio9_task.catalogue import Architecture, Catalogue, Head, TaskInput, TaskKind, union
from studio9_trainers.capabilities import Capabilities, Task

if TYPE_CHECKING:
    from studio9_trainers.trainer import Order, Trainer

GROUP = "studio9.trainers"
"""The entry-point group in which a package announces its Framework."""

OWN = "studio9"
"""The framework of kinds that need no model."""

OWN_TASKS = (
    TaskKind(kind="augment", framework=OWN, inputs=(TaskInput(name="pictures", holds="pictures"),)),
    TaskKind(kind="analyse", framework=OWN, inputs=(TaskInput(name="pictures", holds="pictures"),)),
)


@dataclass(frozen=True)
class Framework:
    """What an entry point names: data for the catalogue, and where the trainer is once it is needed.

    `capabilities` may look at what is installed, but imports nothing heavy.
    """

    name: str
    architectures: tuple[Architecture, ...]
    heads: tuple[Head, ...]
    tasks: tuple[TaskKind, ...]
    capabilities: Callable[[], tuple[Capabilities, ...]]
    trainer: Callable[[Task, Order], Trainer]


def frameworks() -> dict[str, Framework]:
    """All frameworks of this environment, by name."""
    found = [point.load() for point in entry_points(group=GROUP)]
    return {framework.name: framework for framework in sorted(found, key=lambda one: one.name)}


def catalogue() -> Catalogue:
    """What this environment can do; imports no framework."""
    own = version("studio9-trainers")
    known = [
        Catalogue(version=own, architectures=one.architectures, heads=one.heads, tasks=one.tasks)
        for one in frameworks().values()
    ]
    return union([*known, Catalogue(version=own, tasks=OWN_TASKS)])


def usual_tasks(framework: str) -> tuple[TaskKind, ...]:
    """The kinds train, evaluate and predict, with the inputs that every framework takes."""
    return (
        TaskKind(
            kind="train",
            framework=framework,
            inputs=(
                TaskInput(name="train", holds="pictures"),
                TaskInput(name="val", holds="pictures", required=False),
                TaskInput(name="test", holds="pictures", required=False),
                TaskInput(name="model", holds="model", required=False),
                TaskInput(name="checkpoint", holds="checkpoint", required=False),
            ),
        ),
        TaskKind(
            kind="evaluate",
            framework=framework,
            inputs=(TaskInput(name="model", holds="model"), TaskInput(name="test", holds="pictures")),
        ),
        TaskKind(
            kind="predict",
            framework=framework,
            inputs=(TaskInput(name="model", holds="model"), TaskInput(name="predict", holds="pictures")),
        ),
        TaskKind(
            kind="export",
            framework=framework,
            inputs=(
                TaskInput(name="model", holds="model"),
                TaskInput(name="test", holds="pictures", required=False),
            ),
        ),
    )
