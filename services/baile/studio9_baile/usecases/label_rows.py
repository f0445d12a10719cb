"""Reading a labels CSV: which rows can be used, and why the others cannot."""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio9_baile.models.pictures import LabelMode
from studio9_common.errors import BadInput
from studio9_task.problems import shown

HEADER = ({"filename", "file name", "file", "picture", "image"}, {"label", "class", "tag"})
LONGEST_ROW = 64 * 1024
COORDINATES = ("x-min", "y-min", "x-max", "y-max")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
"""Python's float() takes more: `1_0`, other scripts' digits, `nan`."""
LONGEST_NUMBER = 100


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row that can be used; `box` is (left, top, right, bottom), None in CLASSIFICATION."""

    line: int
    filename: str
    label: str
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that cannot be used, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """The first row, if it names the columns."""

    line: int


def read_rows(path: Path, mode: LabelMode) -> Iterator[LabelRow | SkippedRow | HeaderRow]:
    """Every row that is not empty. CLASSIFICATION: filename, label, …; LOCALIZATION: filename, label, x-min, y-min,
    x-max, y-max, …. Raises BadInput for a file that is no UTF-8 text or no CSV. Blocks."""
    csv.field_size_limit(LONGEST_ROW)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            first = True
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if first and _is_header(cells):
                    yield HeaderRow(reader.line_num)
                else:
                    yield _row(reader.line_num, cells, mode)
                first = False
        except UnicodeDecodeError:
            raise BadInput(
                "Labels file is not UTF-8 text", field="file", fix="save it as CSV in UTF-8 and upload it again"
            ) from None
        except csv.Error as error:
            raise BadInput(
                f"Labels file is not CSV: line {reader.line_num}: {error}", field="file", fix="correct that line"
            ) from None


def _is_header(cells: list[str]) -> bool:
    names = [cell.strip().lower() for cell in cells[:2]]
    return len(names) == 2 and all(name in known for name, known in zip(names, HEADER, strict=True))


def _row(line: int, cells: list[str], mode: LabelMode) -> LabelRow | SkippedRow:
    wanted = 2 if mode is LabelMode.CLASSIFICATION else 6
    if len(cells) < wanted:
        return SkippedRow(line, f"it has {len(cells)} columns, {wanted} are needed")
    filename, label = cells[0].strip(), cells[1].strip()
    if not filename:
        return SkippedRow(line, "the file name is empty")
    if "\x00" in filename:
        return SkippedRow(line, "the file name holds a NUL")
    if not label:
        return SkippedRow(line, "the label is empty")
    if len(label) > 500 or "\x00" in label:
        return SkippedRow(line, "the label is longer than 500 characters or holds a NUL")
    if mode is LabelMode.CLASSIFICATION:
        return LabelRow(line, filename, label, None)
    numbers: list[float] = []
    for name, cell in zip(COORDINATES, cells[2:6], strict=True):
        number = _number(cell.strip())
        if number is None:
            return SkippedRow(line, f"{name} is {shown(cell)}; write a finite number in plain digits, as 12 or 12.5")
        numbers.append(number)
    left, top, right, bottom = numbers
    return LabelRow(line, filename, label, (left, top, right, bottom))


def _number(text: str) -> float | None:
    """A finite number in ASCII digits; None for everything else."""
    if len(text) > LONGEST_NUMBER or NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None
