"""Transfer learning's entry point; importing this imports neither torch nor timm."""

from studio9_trainers.capabilities import COMPUTED, WEIGHTS, Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.trainer import Order, Trainer
from studio9_trainers.transfer.offered import LICENCE, NAME, architectures, heads


def capability(task: Task) -> Capabilities:
    """What it can do for one task."""
    return Capabilities(
        framework=NAME,
        task=task,
        loop="own",
        licence=LICENCE,
        # What follows a detector's network here, and what a picture's pixels are judged by, no file can hold.
        export=COMPUTED if task == "classify" else WEIGHTS,
        resume_inside_epochs=True,
        distributed=True,
    )


def _capabilities() -> tuple[Capabilities, ...]:
    return tuple(capability(task) for task in TASKS)


def _trainer(task: Task, order: Order) -> Trainer:
    from studio9_trainers.transfer.trainer import trainer

    return trainer(task, order)


TASKS: tuple[Task, ...] = ("classify", "detect", "reconstruct")

FRAMEWORK = Framework(
    name=NAME,
    architectures=architectures(),
    heads=heads(),
    capabilities=_capabilities,
    trainer=_trainer,
)
