"""Every query is an organisation's: another's rows and documents are never read or changed.

Two kinds of query are looked at. SQL, which Baile alone speaks: each statement that is begun with SQLAlchemy's own
`select`, `update`, … carries the organisation's condition (`self.mine`, `….organisation ==`), in the same statement of
the program or in a later one of the function that takes it on. Documents: a function that searches them, or makes a
`Where`, names the organisation. What works for all organisations is in `ALLOWED`, each with its reason.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from studio9_cli.lints.assertions import Function, called, functions
from studio9_cli.lints.findings import Finding, is_test

ALLOWED = {
    "argo/handlers.py::_schema": "the types of values belong to the installation",
    "argo/outbox.py::sweep": "changes of all are announced",
    "argo/secrets.py::rotate": "an old key is taken out of use for all",
    "aries/handlers.py::drop_month": "a month goes as a whole, when every job in it has ended",
    "aries/routes.py::search": "hands on the caller, by whom every search is restricted",
    "baile/migrations.py": "tables are everybody's",
    "baile/models/base.py::in_library": "a part of conditions, never a statement",
    "baile/repositories/base.py::page_of": "counts the rows of a statement that has its condition",
    "baile/repositories/system.py": "who signs in has no organisation yet; background work is for all",
    "baile/usecases/catalogue.py": "workers belong to the installation, and so does what they can do",
    "baile/usecases/monitoring.py::gpus": "workers belong to the installation, and so do their GPUs",
    "baile/usecases/monitoring.py::workers": "workers belong to the installation",
    "orion/beats.py": "silence is looked for in all beats",
    "orion/jobs.py": "deadlines, queues and outboxes are worked off for all; those who ask come by the routes",
    "orion/logs.py::last_lines": "of one job, which its caller has been shown to own",
    "orion/metrics.py": "figures of the installation",
    "orion/scheduler/": "shares are dealt among all",
    "orion/store.py::find": "the way of every search of Orion's",
    "orion/worker_routes.py::workers": "workers belong to the installation",
    "orion/workers.py": "workers belong to the installation",
    "taurus/claims.py": "batches of all are finished; a batch and its claims are one organisation's",
}
"""Folders, modules or single functions of services, and why they may look over all organisations."""

MEND = "filter by the caller's, or give the reason in studio9_cli.lints.scoping.ALLOWED"
SQL = frozenset({"select", "update", "delete", "insert", "exists", "text"})
SCOPE = frozenset({"mine", "organisation"})


def check(sources: Mapping[Path, str], allowed: Mapping[str, str] = ALLOWED) -> list[Finding]:
    """The queries without an organisation among the services' own code (paths relative to the repository), and the
    exceptions that nothing needs any more."""
    found: list[Finding] = []
    used: set[str] = set()
    there: set[str] = set()
    for path, text in sources.items():
        if path.parts[0] != "services" or is_test(path) or "alembic" in path.parts:
            continue
        module = "/".join((path.parts[1], *path.parts[3:]))
        there |= {one for one in allowed if _covers(one.partition("::")[0], module, "")}
        for function, line in unscoped(ast.parse(text)):
            name = next((one for one in allowed if _covers(one, module, function)), None)
            if name is None:
                found.append(Finding(path, line, f"{function} asks for all organisations: {MEND}"))
            else:
                used.add(name)
    stale = sorted(there - used)
    return found + [Finding(Path("services"), 1, f"{name} needs no exception any more: remove it") for name in stale]


def _covers(exception: str, module: str, function: str) -> bool:
    part, _, single = exception.partition("::")
    inside = module.startswith(part) if part.endswith("/") else module == part
    return inside and single in ("", function)


def unscoped(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The functions with a query that names no organisation, and the query's line."""
    sql = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for alias in node.names
        if alias.name in SQL
    }
    conditions = {one.name for one in functions(tree) if one.name.startswith("_") and _names(one) & SCOPE}
    for function in functions(tree):
        for statement in _statements(function):
            for call in _calls(statement):
                begun = isinstance(call.func, ast.Name) and call.func.id in sql
                if begun and not _taken_on(function, statement, SCOPE | conditions):
                    yield function.name, call.lineno
        for call in _searches(function):
            if not _names(function) & (SCOPE | {"scoped"}):
                yield function.name, call.lineno
                break


def _searches(function: Function) -> Iterator[ast.Call]:
    """Searches of documents, and what is made for one."""
    for node in _own(function):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and called(node.value) == "search":
            yield node.value
        elif isinstance(node, ast.Call) and called(node) in ("search_all", "Where"):
            yield node


def _statements(function: Function) -> Iterator[ast.stmt]:
    """The function's statements, without those that hold others."""
    for node in _own(function):
        if isinstance(node, ast.stmt) and not any(isinstance(inner, ast.stmt) for inner in list(ast.walk(node))[1:]):
            yield node


def _own(function: Function) -> Iterator[ast.AST]:
    """What is in a function, but not in functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, Function):
            yield node
            waiting += ast.iter_child_nodes(node)


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    return (node for node in ast.walk(statement) if isinstance(node, ast.Call))


def _taken_on(function: Function, statement: ast.stmt, scope: frozenset[str] | set[str]) -> bool:
    """Whether the condition is in the statement, or in another one that goes on with its result."""
    if _names(statement) & scope:
        return True
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    result = statement.targets[0].id
    return any(one is not statement and result in _names(one) and _names(one) & scope for one in _statements(function))


def _names(tree: ast.AST) -> set[str]:
    """Names, attributes, keywords and texts."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword | ast.arg):
            found.add(node.arg or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found
