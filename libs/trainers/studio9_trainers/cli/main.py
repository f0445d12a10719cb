"""`studio9 train|predict|evaluate|export|tile|tune`: what a task does, on folders, with progress and pictures."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from studio9_task.errors import TaskContractError
from studio9_task.exits import EXIT_OK, EXIT_USER
from studio9_trainers.errors import UserError

COMMANDS = {
    "train": "Train a model on labelled pictures, and judge it.",
    "predict": "Find what a model knows on pictures, and draw it.",
    "evaluate": "Judge a model on labelled pictures, with curves and pictures.",
    "export": "Write a model for other programs, compared with the model itself.",
    "tile": "Cut large pictures and their labels into tiles.",
    "tune": "Search a training's settings.",
}
"""Each is a module of `studio9_trainers.cli` with `add_arguments(parser)` and `run(options) -> exit code`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 64 the user's to mend, else as studio9-task's."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="studio9", description=__doc__)
    parser.add_argument(
        "command", choices=COMMANDS, help="; ".join(f"{name}: {line}" for name, line in COMMANDS.items())
    )
    if not given or given[0] not in COMMANDS:
        parser.parse_args(given or ["--help"])
    name = given[0]
    module = import_module(f"studio9_trainers.cli.{name}")
    own = argparse.ArgumentParser(prog=f"studio9 {name}", description=COMMANDS[name])
    module.add_arguments(own)
    options = own.parse_args(given[1:])
    try:
        code: int = module.run(options)
    except (UserError, TaskContractError) as error:
        print(f"studio9: {error}", file=sys.stderr)
        return EXIT_USER
    except BrokenPipeError:
        return EXIT_OK
    return code
