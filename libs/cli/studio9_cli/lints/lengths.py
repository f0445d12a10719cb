"""How long modules are: a module is as long as its one idea, and none is over 600 lines."""

import statistics
from collections.abc import Mapping
from pathlib import Path

from studio9_cli.lints.findings import Finding

LIMIT = 600


def check(sources: Mapping[Path, str]) -> list[Finding]:
    """The modules over the limit."""
    return [
        Finding(path, LIMIT + 1, f"{length} lines; no module is over {LIMIT}: part it by its ideas")
        for path, length in lengths(sources).items()
        if length > LIMIT
    ]


def report(sources: Mapping[Path, str]) -> str:
    """Median, 90th percentile and maximum, in words."""
    by_path = lengths(sources)
    if not by_path:
        return "no modules"
    ordered = sorted(by_path.values())
    p90 = ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    longest = max(by_path, key=lambda path: by_path[path])
    median = statistics.median(ordered)
    return f"{len(ordered)} modules: median {median:g} lines, p90 {p90}, maximum {by_path[longest]} ({longest})"


def lengths(sources: Mapping[Path, str]) -> dict[Path, int]:
    """Lines by module; empty files (package markers) do not count."""
    return {path: len(text.splitlines()) for path, text in sources.items() if text.strip()}
