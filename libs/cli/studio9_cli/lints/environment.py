"""Only settings modules, the command line and the task's own entry read the process' environment.

What a program does must follow from its settings, which say where each value came from.
"""

import ast
from collections.abc import Mapping
from pathlib import Path

from studio9_cli.lints.findings import Finding, is_test

# Programs of their own: a task starts before any settings exist, and its libraries read these variables only.
ENTRIES = (
    "libs/task/studio9_task/launch.py",
    "libs/task/studio9_task/environment.py",
    "libs/trainers/studio9_trainers/yolo/quiet.py",
)
NAMES = frozenset({"environ", "environb", "getenv", "putenv", "unsetenv"})


def check(sources: Mapping[Path, str]) -> list[Finding]:
    """The breaches among these sources (paths relative to the repository)."""
    found = []
    for path, text in sources.items():
        if allowed(path):
            continue
        lines = {line for line, name in _uses(ast.parse(text)) if name in NAMES}
        found += [Finding(path, line, "reads the environment: take it from settings") for line in sorted(lines)]
    return found


def allowed(path: Path) -> bool:
    """Whether a file (relative to the repository) may read the environment."""
    if is_test(path) or path.parts[:2] == ("libs", "cli") or path.parts[0] not in ("libs", "services"):
        return True
    return "settings" in path.stem or "settings" in path.parts or path.as_posix() in ENTRIES


def _uses(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            found.append((node.lineno, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [(node.lineno, alias.name) for alias in node.names]
    return found
