"""A user's class as a Trainer: found, checked, and answered for when it fails."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.custom.answered import ENTRY, answered, answering, user_code
from studio9_trainers.custom.code import code_folder
from studio9_trainers.custom.framework import capability
from studio9_trainers.custom.sandbox import open_doors
from studio9_trainers.errors import BadModel, Untrusted, UserError
from studio9_trainers.files import read_model
from studio9_trainers.loops.loop import Loop
from studio9_trainers.models import Model
from studio9_trainers.trainer import Order, Trained

STEPS = ("prepare_dataset", "create_model", "train_epoch", "validate", "save_checkpoint", "export_model")
"""What the class must have; deriving from studio9_trainers.loops.loop.Loop leaves four of them to write."""


class CustomTrainer:
    """Runs the class that `entry` names in the input `code`. Raises Untrusted outside a container, unless it is its
    author who runs it, on their own machine."""

    def __init__(self, task: Task, order: Order, doors: Callable[[], list[str]] = open_doors) -> None:
        if not order.run.own_machine and (found := doors()):
            raise Untrusted(
                f"Code of your own runs only in a container ({', '.join(found)}): start a worker with the container "
                "runner, or use a trainer of the catalogue."
            )
        self._task, self._order = task, order

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return capability(self._task)

    def train(self) -> Trained:
        """See Trainer.train. What the user's code raises is the user's error, with file and line."""
        config, _ = self._order.training
        entry = str(config.options.get(ENTRY, ""))
        with answering(self._code, "training"):
            trained = self._made(entry).train()
        if not isinstance(trained, Trained):
            raise user_code(f"Your trainer's train() gave a {type(trained).__name__}: give a Trained.")
        numbers = (trained.epochs_done, trained.input_size)
        if not all(isinstance(one, int) for one in numbers) or not isinstance(trained.effective, Mapping):
            raise user_code("Your trainer's Trained holds no whole numbers and settings: give what Loop.train() gives.")
        return replace(trained, model=answered(trained.model, self._task, entry, self._code))

    def load(self, path: Path) -> Model:
        """See Trainer.load. The model's file names the class; its code is an input of this task, too."""
        entry = str(read_model(path).options.get(ENTRY, ""))
        if not entry:
            raise BadModel("The model was not made by a trainer of your own: choose its own framework.")
        with answering(self._code, "loading the model"):
            model = self._made(entry).load(path)
        return answered(model, self._task, entry, self._code)

    @cached_property
    def _code(self) -> Path:
        return code_folder(self._order.run.folder)

    def _made(self, entry: str) -> Loop:
        module, _, name = entry.partition(":")
        if not module or not name:
            raise UserError(f"entry = {entry!r}: name your class as package.module:Class.", "bad_parameters")
        if str(self._code) not in sys.path:
            sys.path.insert(0, str(self._code))
        try:
            imported = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise UserError(
                f"entry = {entry!r}: there is no {error.name} in your code: name package.module:Class.",
                "bad_parameters",
            ) from None
        found = getattr(imported, name, None)
        if not isinstance(found, type):
            raise UserError(f"entry = {entry!r}: {module} has no class {name}.", "bad_parameters")
        if missing := [step for step in STEPS if not callable(getattr(found, step, None))]:
            raise user_code(f"{name} has no {', '.join(missing)}: derive it from studio9_trainers.loops.loop.Loop.")
        made: Loop = found(self._task, self._order)
        return made
