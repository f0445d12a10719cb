"""The dispatcher: `studio9 COMMAND …` runs the module `studio9_cli.commands.COMMAND` (a dash for each underscore).

A command is a module with a docstring, whose first line is its help, and two functions:

    def add_arguments(parser: argparse.ArgumentParser) -> None
    def run(args: argparse.Namespace) -> int          # the exit status

Only the module that is asked for is imported, so a command may take its time without slowing the others; help reads
the docstrings without importing anything.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import studio9_cli.commands
from studio9_common.loading import loading

# Handled by the launcher before this program starts: they make the environments it needs.
LAUNCHER = {
    "setup": "Make the environments ahead of time [--platform | --trainers].",
    "lock": "Write requirements/*.lock from the members' dependencies [--upgrade].",
    "task": "Run one task folder with studio9-task of the trainers environment.",
    "train": "Train a model on labelled pictures of your own, without the platform.",
    "predict": "Find what a model knows on pictures, and draw it.",
    "evaluate": "Judge a model on labelled pictures, with curves and pictures.",
    "export": "Write a model for other programs, compared with the model itself.",
    "tile": "Cut large pictures and their labels into tiles.",
    "tune": "Search a training's settings.",
}


class Command(Protocol):
    """What a module in `studio9_cli.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares the command's options."""

    def run(self, args: argparse.Namespace) -> int:
        """Does the work; returns the exit status."""


def summaries(folder: Path | None = None) -> dict[str, str]:
    """Every command's name and the first line of its docstring."""
    folder = folder or Path(next(iter(studio9_cli.commands.__path__)))
    found = {}
    for path in sorted(folder.glob("[a-z]*.py")):
        document = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.replace("_", "-")] = document.partition("\n")[0]
    return found


def usage() -> str:
    """The text of `studio9 --help`."""
    lines = {**summaries(), **LAUNCHER}
    width = max(map(len, lines))
    body = "\n".join(f"  {name:<{width}}  {lines[name]}" for name in sorted(lines))
    return f"usage: studio9 COMMAND [options]\n\n{body}\n\n`studio9 COMMAND --help` shows a command's options.\n"


def load(name: str) -> Command:
    """The command's module."""
    with loading():
        return cast(Command, importlib.import_module(f"studio9_cli.commands.{name.replace('-', '_')}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status (2: unknown command, 130: interrupted)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    name, *rest = arguments
    known = summaries()
    if name not in known:
        print(f"studio9: no command {name!r}\n\n{usage()}", end="", file=sys.stderr)
        return 2
    command = load(name)
    parser = argparse.ArgumentParser(prog=f"studio9 {name}", description=known[name])
    command.add_arguments(parser)
    try:
        return command.run(parser.parse_args(rest))
    except KeyboardInterrupt:
        print("studio9: interrupted", file=sys.stderr)
        return 130
