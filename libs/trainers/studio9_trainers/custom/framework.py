"""What a trainer of one's own is, as data."""

from typing import Any

from studio9_task.catalogue import Architecture, Head, StringParameter
from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.offered import common_parameters, loop_parameters
from studio9_trainers.trainer import Order, Trainer

NAME = "custom"
ARCHITECTURE = "CUSTOM"
HEADS = {"CUSTOM_CLASSIFIER": "classifier", "CUSTOM_DETECTOR": "detector"}
TASKS: tuple[Task, ...] = ("classify", "detect")


def capability(task: Task) -> Capabilities:
    """What it can do for one task."""
    return Capabilities(
        framework=NAME,
        task=task,
        loop="own",
        licence="the user's",
        export=(),
        resume_inside_epochs=True,
        sandbox_only=True,
    )


def _capabilities() -> tuple[Capabilities, ...]:
    return tuple(capability(task) for task in TASKS)


def _trainer(task: Task, order: Order) -> Trainer:
    from studio9_trainers.custom.trainer import CustomTrainer

    return CustomTrainer(task, order)


_OWN: dict[str, Any] = {
    "framework": NAME,
    "package": "studio9-trainers",
    "module": "studio9_trainers.loops.loop",
    "class_name": "Loop",
}
_ENTRY = StringParameter(name="entry", description="Your class, as package.module:Class")

FRAMEWORK = Framework(
    name=NAME,
    architectures=(Architecture(id=ARCHITECTURE, name="Your own (needs a container)", **_OWN),),
    heads=tuple(
        Head(
            id=key,
            name=f"Your own {consumer} (needs a container)",
            consumer=consumer,
            architectures=(ARCHITECTURE,),
            parameters=(*common_parameters(), *loop_parameters(), _ENTRY),
            **_OWN,
        )
        for key, consumer in HEADS.items()
    ),
    capabilities=_capabilities,
    trainer=_trainer,
)
