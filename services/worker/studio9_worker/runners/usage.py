"""How much of the disk a task has written. Blocks."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

BLOCK = 512
MOST_FILES = 200_000
"""A task that makes more files than this is over any limit; nobody counts them to the end."""


def disk_usage(paths: Iterable[Path]) -> tuple[int, int]:
    """Bytes and files below these paths, no link followed; counting ends at MOST_FILES files."""
    size = files = 0
    waiting = list(paths)
    while waiting and files <= MOST_FILES:
        path = waiting.pop()
        try:
            status = path.lstat()
        except OSError:
            continue
        size += status.st_blocks * BLOCK
        files += 1
        if stat.S_ISDIR(status.st_mode):
            try:
                with os.scandir(path) as entries:
                    waiting += [Path(entry.path) for entry, _ in zip(entries, range(MOST_FILES + 1), strict=False)]
            except OSError:
                continue
    return size, files


def over(paths: Iterable[Path], limit: int) -> str | None:
    """What is too much, in words; None while it is within the limit."""
    size, files = disk_usage(paths)
    if files > MOST_FILES:
        return f"it made more than {MOST_FILES} files"
    return f"it wrote {size} bytes; {limit} are allowed" if size > limit else None
