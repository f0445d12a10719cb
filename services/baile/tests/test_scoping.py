"""By construction: SQL is in the repositories alone, and only a few modules may look over all organisations."""

import ast
from pathlib import Path

import studio9_baile

ROOT = Path(studio9_baile.__file__).parent
SQL = ("models", "repositories", "alembic", "database.py", "migrations.py")
OVER_ALL = {
    "usecases/signing_in.py", "usecases/users.py", "usecases/accounts.py", "usecases/user_care.py",
    "usecases/catalogue.py", "usecases/deployments.py",
    "jobs/outbox.py", "jobs/config.py", "jobs/rereading.py", "jobs/finishing.py", "jobs/forgetting.py",
    "jobs/keys_sweeping.py",
    "jobs/merging.py", "jobs/running.py", "jobs/streams.py", "jobs/transferring.py", "jobs/tallying.py",
    "jobs/delivering.py", "jobs/sweeping.py", "jobs/uploads.py",
    "watching.py", "metrics.py",
    "repositories/holding.py",
}  # fmt: skip
"""Whoever signs in has none yet; buckets and the catalogue belong to none; background work and metrics are of all;
a request that holds its last transaction back asks as it would without."""


def modules() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def test_nobody_but_the_repositories_writes_sql() -> None:
    for name, tree in modules().items():
        if name.startswith(SQL):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                imported = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert not (imported or "").startswith("sqlalchemy"), f"{name}:{node.lineno} imports {imported}"


def test_only_the_named_modules_look_over_all_organisations() -> None:
    found = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "system"
    }
    assert found <= OVER_ALL, f"these call Database.system: {sorted(found - OVER_ALL)}"
