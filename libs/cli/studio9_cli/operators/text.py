"""Plain text for people: aligned columns, ages, sizes. It looks the same in a terminal and in a file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from studio9_common.times import parse_time

NONE = "-"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, indent: str = "") -> str:
    """Columns as wide as their widest cell, the last one open."""
    cells = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    lines = []
    for row in cells:
        padded = [text.ljust(width) for text, width in zip(row[:-1], widths, strict=False)]
        lines.append(indent + "  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(lines)


def fields(pairs: Sequence[tuple[str, Any]], *, indent: str = "  ") -> str:
    """A name and a value per line; what is not there is left out."""
    shown = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], ())]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{indent}{name.ljust(width)}  {value}" for name, value in shown)


def cell(value: Any) -> str:
    """One line of text for a value."""
    if value is None or value == "":
        return NONE
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or NONE
    return " ".join(str(value).split())


def clock(time: str | None) -> str | None:
    """A time to the second, in UTC."""
    return parse_time(time).strftime("%Y-%m-%d %H:%M:%S") if time else None


def age(time: str | None, now: datetime | None = None) -> str | None:
    """How long ago: `12 s`, `5 min`, `3 h`, `2 d`."""
    if not time:
        return None
    return duration(((now or datetime.now(UTC)) - parse_time(time)).total_seconds())


def duration(seconds: float) -> str:
    """Seconds in the largest unit that leaves a number above two."""
    seconds = max(0.0, seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def between(start: str | None, end: str | None) -> str | None:
    """How long something took."""
    if not start or not end:
        return None
    return duration((parse_time(end) - parse_time(start)).total_seconds())


def size(count: int | None) -> str | None:
    """Bytes in binary units."""
    if count is None:
        return None
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
