"""The last lines of a task's log, small enough for a message."""

import os
from pathlib import Path

LINES = 200
BYTES = 8 * 1024


def log_tail(path: Path) -> tuple[str, ...]:
    """At most 200 last lines of at most 8 KiB together, without control characters; empty without a log. Blocks."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4 * BYTES))
            content = file.read(4 * BYTES)
    except OSError:
        return ()
    lines = [_plain(line) for line in content.decode(errors="replace").split("\n")]
    if size > 4 * BYTES:
        lines = lines[1:]  # it begins in the middle
    if lines and not lines[-1]:
        lines.pop()
    kept: list[str] = []
    room = BYTES
    for line in reversed(lines[-LINES:]):
        encoded = line.encode()
        if len(encoded) + 1 > room:
            if not kept:
                kept.append(encoded[-room:].decode(errors="ignore"))
            break
        room -= len(encoded) + 1
        kept.append(line)
    return tuple(reversed(kept))


def _plain(line: str) -> str:
    """What a progress bar leaves standing at the end, without colours and other controls."""
    shown = line.rstrip("\r").rpartition("\r")[2]
    return "".join(letter for letter in shown if letter == "\t" or letter.isprintable())
