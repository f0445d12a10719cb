"""Every query is an organisation's: another's rows and documents are never read or changed.

Two kinds of query are looked at. SQL, which Baile alone speaks: each statement that is begun with SQLAlchemy's own
`select`, `update`, … carries the organisation's condition (`self.mine`, `….organisation ==`), in the same statement of
the program or in a later one of the function that takes it on. Documents: a function that searches them, or makes a
`Where`, names the organisation. What works for all organisations is in `ALLOWED`, each with its reason.

And the repositories cannot be gone round: SQLAlchemy is imported, and a session touched, where the tables and queries
are and nowhere else; whoever serves a request opens transactions for the organisation of its caller, not for one that a
request names.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from studio9_cli.lints.assertions import Function, called, functions
from studio9_cli.lints.findings import Finding, imports, is_test

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
    "baile/usecases/accounts.py::confirm_email": "the code from the mail is what proves it",
    "baile/usecases/accounts.py::sign_up": "who signs up has none yet; the operator has named it",
    "baile/usecases/catalogue.py": "workers belong to the installation, and so does what they can do",
    "baile/usecases/keeping.py::keep": "whoever keeps bytes has made the key for their organisation; jobs do, too",
    "baile/usecases/monitoring.py::gpus": "workers belong to the installation, and so do their GPUs",
    "baile/usecases/monitoring.py::workers": "workers belong to the installation",
    "orion/beats.py": "silence is looked for in all beats",
    "orion/jobs.py": "deadlines, queues and outboxes are worked off for all; those who ask come by the routes",
    "orion/logs.py::last_lines": "of one job, which its caller has been shown to own",
    "orion/joining/members.py::all": "workers belong to the installation",
    "orion/joining/members.py::forget_removed": "workers belong to the installation",
    "orion/machines.py::history": "machines belong to the installation",
    "orion/metrics.py": "figures of the installation",
    "orion/scheduler/": "shares are dealt among all",
    "orion/store.py::find": "the way of every search of Orion's",
    "orion/worker_routes.py::workers": "workers belong to the installation",
    "orion/workers.py": "workers belong to the installation",
    "taurus/claims.py": "batches of all are finished; a batch and its claims are one organisation's",
}
"""Folders, modules or single functions of services, and why they may look over all organisations."""

REPOSITORY = re.compile(r"^baile/(repositories/|models/|database\.py|migrations\.py)")
"""Where SQL is."""
SERVING = re.compile(r"^baile/(usecases|v1|v2)/")
"""Where requests are served."""
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
        tree = ast.parse(text)
        queries = ((function, line, f"asks for all organisations: {MEND}") for function, line in unscoped(tree))
        for function, line, problem in (*queries, *_round(tree, module)):
            name = next((one for one in allowed if _covers(one, module, function)), None)
            if name is None:
                found.append(Finding(path, line, f"{function} {problem}"))
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


def _round(tree: ast.Module, module: str) -> Iterator[tuple[str, int, str]]:
    """What goes round the repositories: function, line, and what is wrong."""
    if not module.startswith("baile/") or REPOSITORY.match(module):
        return
    for line, name in imports(tree):
        if name.partition(".")[0] == "sqlalchemy":
            yield "the module", line, "imports SQLAlchemy: put the query into a repository"
    for function in functions(tree):
        for node in _own(function):
            if isinstance(node, ast.Attribute) and node.attr == "_session":
                yield function.name, node.lineno, "takes a repository's session: put the query into the repository"
            if SERVING.match(module) and isinstance(node, ast.Call) and _opens(node):
                given = node.args[0] if node.args else None
                if not isinstance(given, ast.Attribute) or given.attr != "organisation":
                    yield function.name, node.lineno, "opens a transaction that is not for its caller's organisation"


def _opens(call: ast.Call) -> bool:
    """`….database.read(…)` or `….database.write(…)`."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("read", "write"):
        return False
    return isinstance(function.value, ast.Attribute) and function.value.attr == "database"


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
    """Whether the condition is in the statement, in a list of conditions that it takes, or in another one that goes on
    with its result."""
    if _names(statement) & scope:
        return True
    for one in _statements(function):
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.List | ast.Tuple) and _names(one.value) & scope:
            taken = {f"*{target.id}" for target in one.targets if isinstance(target, ast.Name)}
            if taken & _starred(statement):
                return True
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    result = statement.targets[0].id
    return any(one is not statement and result in _names(one) and _names(one) & scope for one in _statements(function))


def _starred(tree: ast.AST) -> set[str]:
    """The names that are unpacked into calls, as `*name`."""
    stars = (node.value for node in ast.walk(tree) if isinstance(node, ast.Starred))
    return {f"*{value.id}" for value in stars if isinstance(value, ast.Name)}


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
