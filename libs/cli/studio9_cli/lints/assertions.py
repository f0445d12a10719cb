"""Every test checks something: code that merely ran shows little.

A check is an `assert`, `pytest.raises` and its like, a wait that fails in time (`asyncio.timeout`, `wait_for`), a
`raise`, or a call of a helper among the tests that holds one. Helpers are known by their names, methods too; those of
the same file count before others of the same name.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from studio9_cli.lints.findings import Finding, is_test

CHECKS = frozenset({"raises", "warns", "fail", "timeout", "wait_for"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(sources: Mapping[Path, str]) -> list[Finding]:
    """The tests without a check (paths relative to the repository)."""
    trees = {path: ast.parse(text) for path, text in sources.items() if is_test(path)}
    everywhere = _checking(_helpers(*trees.values()), CHECKS)
    found = []
    for path, tree in trees.items():
        if path.name.startswith("test_"):
            own = _helpers(tree)
            checking = _checking(own, everywhere - own.keys())
            found += [
                Finding(path, function.lineno, f"{function.name} checks nothing: assert what must be so afterwards")
                for function in functions(tree)
                if is_case(function) and not _checks(function, checking)
            ]
    return found


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, also inner ones."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def is_case(function: Function) -> bool:
    """Whether pytest runs it as a test."""
    return function.name.startswith("test_")


def _helpers(*trees: ast.AST) -> dict[str, list[Function]]:
    """What is no test, by name."""
    found: dict[str, list[Function]] = {}
    for tree in trees:
        for function in functions(tree):
            if not is_case(function):
                found.setdefault(function.name, []).append(function)
    return found


def _checking(helpers: Mapping[str, list[Function]], found: frozenset[str]) -> frozenset[str]:
    """The names of helpers that check, by themselves or through another, beside those that were found before."""
    while True:
        more = found | {name for name, given in helpers.items() if all(_checks(one, found) for one in given)}
        if more == found:
            return found
        found = more


def _checks(function: Function, checking: frozenset[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call) and called(node) in checking:
            return True
    return False


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
