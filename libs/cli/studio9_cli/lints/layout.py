"""Where tests lie: in `<package root>/tests/test_*.py`, which is a folder and no package.

Every package root is on the import path, so a second `tests` package would stand in for the first.
"""

from collections.abc import Iterable
from pathlib import Path

from studio9_cli.lints.findings import Finding


def check(paths: Iterable[Path]) -> list[Finding]:
    """The test folders (paths relative to the repository) that are packages."""
    return [
        Finding(path, 1, "two packages called tests hide each other: delete it, share fixtures through conftest.py")
        for path in paths
        if path.name == "__init__.py" and path.parent.name == "tests"
    ]
