"""A user's class as a Trainer: found, checked, and answered for when it fails."""

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.custom.framework import CODE, capability
from studio9_trainers.custom.sandbox import open_doors
from studio9_trainers.errors import Stopped, TaskError, Untrusted, UserError
from studio9_trainers.loops.loop import Loop
from studio9_trainers.models import Model
from studio9_trainers.trainer import Order, Trained

STEPS = ("prepare_dataset", "create_model", "train_epoch", "validate", "save_checkpoint", "export_model")
"""What the class must have; deriving from studio9_trainers.loops.loop.Loop leaves four of them to write."""


class CustomTrainer:
    """Runs the class that `entry` names in the input `code`. Raises Untrusted outside a container."""

    def __init__(self, task: Task, order: Order, doors: Callable[[], list[str]] = open_doors) -> None:
        if found := doors():
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
        with self._answering("training"):
            trained = self._made().train()
        if not isinstance(trained, Trained):
            raise UserError(f"Your trainer's train() gave a {type(trained).__name__}: give a Trained.", "user_code")
        for name in ("names", "thresholds", "save"):
            if not hasattr(trained.model, name):
                raise UserError(f"Your trainer's export_model() gave a model without {name}: add it.", "user_code")
        return trained

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        with self._answering("loading the model"):
            return self._made().load(path)

    def _made(self) -> Loop:
        config = self._order.config
        entry = str(config.options.get("entry", "")) if config is not None else ""
        module, _, name = entry.partition(":")
        if not module or not name:
            raise UserError(f"entry = {entry!r}: name your class as package.module:Class.", "bad_parameters")
        folder = str(self._order.run.folder.input(CODE))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        found = getattr(importlib.import_module(module), name, None)
        if not isinstance(found, type):
            raise UserError(f"entry = {entry!r}: {module} has no class {name}.", "bad_parameters")
        if missing := [step for step in STEPS if not callable(getattr(found, step, None))]:
            raise UserError(
                f"{name} has no {', '.join(missing)}: derive it from studio9_trainers.loops.loop.Loop.", "user_code"
            )
        made: Loop = found(self._task, self._order)
        return made

    @contextmanager
    def _answering(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (TaskError, Stopped, MemoryError):
            raise
        except Exception as error:
            folder = str(self._order.run.folder.input(CODE))
            own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(folder)]
            where = f" in {Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno}" if own else ""
            raise UserError(
                f"Your trainer raised {type(error).__name__} while {doing}{where}: {error}. Mend it and start again.",
                "user_code",
            ) from error
