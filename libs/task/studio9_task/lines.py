"""Files of one JSON object a line: read as a stream, written whole or not at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from studio9_task.errors import ManifestError
from studio9_task.outputs import Written, new_file
from studio9_task.problems import describe

MAX_LINE = 4 * 1024 * 1024
"""Bytes of one line; some ten thousand shapes on one picture fit."""

Line = TypeVar("Line", bound=BaseModel)


def read_lines(path: Path, model: type[Line], max_line: int = MAX_LINE) -> Iterator[Line]:
    """Yield each line of `path` as a `model`, in constant memory; empty lines are skipped.

    Raises ManifestError, naming file, line and field, at the first line that is too long or not a `model`.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ManifestError(f"{path.name} can't be read ({error.strerror}): stage it first.") from None
    with file:
        number = 0
        while line := file.readline(max_line + 1):
            number += 1
            if len(line) > max_line:
                raise ManifestError(f"{path.name}, line {number}: longer than {max_line} bytes: split it.")
            if not line.strip():
                continue
            try:
                yield model.model_validate_json(line)
            except ValidationError as error:
                raise ManifestError(f"{path.name}, line {number}: {describe(error)}") from None


def write_lines(path: Path, lines: Iterable[BaseModel]) -> tuple[Written, int]:
    """Write `lines` to `path` as a whole (temporary name, sync, rename); the file, and how many lines."""
    count = 0
    with new_file(path) as new, new.path.open("wb") as file:
        for line in lines:
            file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
            count += 1
    return new.written, count
