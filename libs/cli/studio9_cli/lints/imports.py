"""Who may import whom.

A service imports no other service, and neither it nor the shared code can import the machine-learning libraries;
the trainers know of the platform the task contract alone; the task contract needs pydantic and the standard library
only; `studio9_cli` alone imports several services.
"""

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

from studio9_cli.lints.findings import Finding, imports, is_test

SERVICES = frozenset({"aries", "argo", "baile", "orion", "pegasus", "taurus", "worker"})
HEAVY = frozenset({"torch", "torchvision", "ultralytics", "transformers", "cv2"})
TASK_MAY = frozenset({"pydantic", "pydantic_core", "typing_extensions", "annotated_types"})


def check(sources: Mapping[Path, str]) -> list[Finding]:
    """The breaches among these sources (paths relative to the repository)."""
    found = []
    for path, text in sources.items():
        part = owner(path)
        if part is None:
            continue
        for line, module in imports(ast.parse(text)):
            reason = refusal(part, module.partition(".")[0], test=is_test(path))
            if reason:
                found.append(Finding(path, line, f"{part} imports {module}: {reason}"))
    return found


def owner(path: Path) -> str | None:
    """The part that a file belongs to (`orion`, `common`, …); None outside `services/` and `libs/`."""
    return path.parts[1] if len(path.parts) > 2 and path.parts[0] in ("services", "libs") else None


def refusal(part: str, module: str, *, test: bool) -> str | None:
    """Why this part may not import this top-level module, or None if it may."""
    ours = module.removeprefix("studio9_") if module.startswith("studio9_") else None
    if part == "trainers":
        return "the trainers know studio9_task only" if ours not in (None, "task", "trainers") else None
    if module in HEAVY:
        return "it belongs to the trainers' environment"
    if ours == "trainers":
        return "only the trainers' environment has it"
    if part == "task" and not test and ours != "task":
        known = module in sys.stdlib_module_names or module in TASK_MAY
        return None if known else "the task contract needs pydantic and the standard library only"
    if ours == "cli" and part != "cli":
        return "the command line is nobody's library"
    if ours in SERVICES and ours != part and part != "cli" and not test:
        return "services speak over the bus and HTTP; share code through studio9_common"
    return None
