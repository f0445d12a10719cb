"""Checks without running the code: ruff, types, and the house rules. Each counts as one test."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from studio9_cli import project
from studio9_cli.lints import assertions, environment, imports, layout, lengths, locks, scoping
from studio9_cli.lints.findings import Finding
from studio9_cli.testing.results import Result

PACKAGES = ("libs/*/studio9_*", "services/*/studio9_*")
# Runs a command to its end; gives its status and output.
Run = Callable[[Sequence[str]], tuple[int, str]]


def run_checks(run: Run) -> Result:
    """Every check, the fast ones first."""
    started = time.monotonic()
    root = project.root()
    python = str(project.environment_python("platform"))
    sources = {path: (root / path).read_text(encoding="utf-8") for path in project.python_files()}
    packages = sorted(str(path.relative_to(root)) for pattern in PACKAGES for path in root.glob(pattern))
    result = Result("checks")
    _record(result, "imports", _house(imports.check(sources)))
    _record(result, "environment", _house(environment.check(sources)))
    _record(result, "scoping", _house(scoping.check(sources)))
    _record(result, "assertions", _house(assertions.check(sources)))
    _record(result, "layout", _house(layout.check(sources)))
    _record(result, "lengths", _house(lengths.check(sources)))
    _record(result, "locks", _house(locks.check(root)))
    _record(result, "ruff check", run([python, "-m", "ruff", "check", "--quiet", "."]))
    _record(result, "ruff format", run([python, "-m", "ruff", "format", "--check", "--quiet", "."]))
    _record(result, "mypy", run([python, "-m", "mypy", *filter(_typed, packages)]))
    result.seconds = time.monotonic() - started
    return result


def _typed(package: str) -> bool:
    return (project.root() / Path(package) / "__init__.py").exists()


def _house(findings: list[Finding]) -> tuple[int, str]:
    return (1 if findings else 0), "\n".join(map(str, findings))


def _record(result: Result, name: str, outcome: tuple[int, str]) -> None:
    status, output = outcome
    if status:
        result.failed += 1
        result.failures.append(name)
        result.output += f"--- {name}\n{output}\n"
    else:
        result.passed += 1
