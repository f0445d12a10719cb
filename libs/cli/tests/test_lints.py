"""The house rules find what they are for, on planted sources, and let pass what is allowed."""

from pathlib import Path

import pytest

from studio9_cli.lints import assertions, environment, imports, layout, lengths, locks, scoping


def breaches(path: str, text: str) -> list[str]:
    return [str(finding) for finding in imports.check({Path(path): text})]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/orion/studio9_orion/app.py", "import studio9_aries"),
        ("services/orion/studio9_orion/app.py", "def f():\n    from studio9_aries.client import Client"),
        ("services/orion/studio9_orion/app.py", "import importlib\nimportlib.import_module('studio9_baile.app')"),
        ("services/worker/studio9_worker/a.py", "import torch"),
        ("services/worker/tests/test_a.py", "import ultralytics.engine"),
        ("libs/common/studio9_common/a.py", "from transformers import pipeline"),
        ("libs/common/studio9_common/a.py", "import studio9_orion"),
        ("libs/common/studio9_common/a.py", "import studio9_cli"),
        ("libs/cli/studio9_cli/a.py", "import torch"),
        ("libs/cli/studio9_cli/a.py", "import studio9_trainers"),
        ("libs/trainers/studio9_trainers/a.py", "from studio9_common import ids"),
        ("libs/trainers/tests/test_a.py", "import studio9_worker"),
        ("libs/task/studio9_task/a.py", "import httpx"),
        ("libs/task/studio9_task/a.py", "import studio9_common.ids"),
    ],
)
def test_forbidden_imports_are_found(path: str, text: str) -> None:
    assert breaches(path, text) != []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/orion/studio9_orion/app.py", "import studio9_orion.core, studio9_common, studio9_task, httpx"),
        ("services/orion/studio9_orion/app.py", "from . import core\nfrom .torch import x"),
        ("services/orion/tests/test_a.py", "import studio9_aries"),
        ("libs/cli/studio9_cli/up.py", "import studio9_orion, studio9_aries"),
        ("libs/trainers/studio9_trainers/a.py", "import torch, studio9_task"),
        ("libs/task/studio9_task/a.py", "import json, pydantic\nfrom studio9_task import request"),
        ("libs/task/tests/test_a.py", "import pytest"),
        ("tests/e2e/test_a.py", "import studio9_orion, studio9_aries"),
    ],
)
def test_allowed_imports_pass(path: str, text: str) -> None:
    assert breaches(path, text) == []


@pytest.mark.parametrize(
    "text",
    ["import os\nos.environ['X']", "import os\nos.getenv('X')", "from os import environ", "from os import getenv"],
)
def test_reading_the_environment_is_found_outside_settings(text: str) -> None:
    def found(path: str) -> int:
        return len(environment.check({Path(path): text}))

    assert found("services/orion/studio9_orion/app.py") == 1
    assert found("libs/common/studio9_common/bus/connect.py") == 1
    assert found("services/orion/studio9_orion/settings.py") == 0
    assert found("libs/cli/studio9_cli/project.py") == 0
    assert found("services/orion/tests/test_app.py") == 0


def test_other_uses_of_os_pass() -> None:
    text = "import os\nos.replace('a', 'b')\nfrom os import path\nsettings.environ"
    assert environment.check({Path("services/orion/studio9_orion/app.py"): text}) == []


def test_test_folders_that_are_packages_are_found() -> None:
    paths = ["services/orion/tests/__init__.py", "tests/contract/bus/__init__.py", "services/orion/tests/test_a.py"]
    assert [finding.path.parts[1] for finding in layout.check(map(Path, paths))] == ["orion"]


def test_long_modules_are_found_and_lengths_reported() -> None:
    sources = {Path(f"{n}.py"): "x\n" * n for n in (0, 10, 20, 30, 600)}
    assert lengths.check(sources) == []
    assert lengths.report(sources) == "4 modules: median 25 lines, p90 600, maximum 600 (600.py)"
    assert [finding.path.name for finding in lengths.check({Path("long.py"): "x\n" * 601})] == ["long.py"]


LOCK = "a==1.2.0 \\\n    --hash=sha256:00\nB-b==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:01\n"


def test_locks_hold_what_is_asked_for() -> None:
    lock = Path("requirements/x.lock")
    assert locks.problems(lock, LOCK, ["a>=1", "b_b[extra]<3", "c ; python_version < '3'"]) == []
    found = [finding.message for finding in locks.problems(lock, LOCK, ["a>=1.3", "c"])]
    assert [message.partition(":")[0] for message in found] == ["has 1.2.0 for a>=1.3", "has no version for c"]


def test_an_address_in_a_lock_is_found() -> None:
    text = "--index-url https://index.example/simple\n" + LOCK
    (finding,) = locks.problems(Path("x.lock"), text, [])
    assert (finding.line, "address" in finding.message) == (1, True)


HELPERS = """
async def look(http):
    assert (await http.get("/")).is_success

async def indirectly(http):
    await look(http)

def harmless():
    return 1
"""


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "harmless()",
        "await bus.ping()",
        "result = [one for one in ()]",
        "with suppress(ValueError):\n    int('x')",
    ],
)
def test_a_test_that_checks_nothing_is_found(body: str) -> None:
    sources = {Path("tests/a/test_a.py"): f"async def test_it():\n  {body}\n", Path("tests/a/conftest.py"): HELPERS}
    (finding,) = assertions.check(sources)
    assert "test_it checks nothing" in str(finding)


@pytest.mark.parametrize(
    "body",
    [
        "assert True",
        "with pytest.raises(ValueError):\n    int('x')",
        "await look(http)",
        "await indirectly(http)",
        "async with asyncio.timeout(3):\n    await event.wait()",
        "def inner():\n    assert True\n  inner()",
    ],
)
def test_a_test_that_checks_passes(body: str) -> None:
    sources = {Path("tests/a/test_a.py"): f"async def test_it():\n  {body}\n", Path("tests/a/conftest.py"): HELPERS}
    assert assertions.check(sources) == []


def test_a_files_own_helpers_count_before_others_of_the_same_name() -> None:
    case = "async def test_it():\n  held()\n"
    checks, does_not = "def held():\n  assert True\n", "def held():\n  return 1\n"
    sources = {Path("tests/a/test_a.py"): checks + case, Path("tests/a/test_b.py"): does_not + case}
    assert [finding.path for finding in assertions.check(sources)] == [Path("tests/a/test_b.py")]


def test_only_tests_must_check() -> None:
    text = "def test_connection():\n  return 1\n"
    assert assertions.check({Path("libs/common/studio9_common/bus.py"): text, Path("tests/a/conftest.py"): text}) == []


SQL = "from sqlalchemy import select, update\nclass Repository:\n  async def f(self, x):\n    "
BAILE = "services/baile/studio9_baile/repositories/a.py"
ORION = "services/orion/studio9_orion/a.py"
DOCUMENTS = "async def f(store, caller):\n  "


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (BAILE, SQL + "return await self.scalars(select(Row).where(Row.id == x))"),
        (BAILE, SQL + "statement = select(Row).where(Row.id == x)\n    return await self.scalars(statement)"),
        (BAILE, SQL + "self.run(select(Row).where(self.mine))\n    self.run(update(Row).values(x=1))"),
        (ORION, DOCUMENTS + "return await store.search('jobs', everything)"),
        (ORION, DOCUMENTS + "return [one async for one in store.search_all('jobs')]"),
        (ORION, DOCUMENTS + "return find(store, JOBS.name, Where(equals={'state': 'queued'}))"),
        (ORION, "def router(organisation):\n  async def f(store):\n    return await store.search('jobs', everything)"),
    ],
)
def test_a_query_over_all_organisations_is_found(path: str, text: str) -> None:
    (finding,) = scoping.check({Path(path): text}, {})
    assert "f asks for all organisations" in str(finding)
    assert scoping.check({Path(path): text}, {scoped_name(path): "planted"}) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (BAILE, SQL + "return await self.scalars(select(Row).where(self.mine, Row.id == x))"),
        (BAILE, SQL + "statement = select(Row)\n    return await self.scalars(statement.where(self.mine))"),
        (BAILE, SQL + "return await self.scalars(self.select(Row.id == x))"),
        (ORION, DOCUMENTS + "return await store.search('jobs', Where(equals={'organisation': caller.organisation}))"),
        (ORION, DOCUMENTS + "return pattern.search(caller)"),
        ("services/orion/tests/test_a.py", DOCUMENTS + "return await store.search('jobs', everything)"),
    ],
)
def test_a_query_of_one_organisation_passes(path: str, text: str) -> None:
    assert scoping.check({Path(path): text}, {}) == []


USE_CASE = "services/baile/studio9_baile/usecases/a.py"


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        (USE_CASE, "from sqlalchemy import func\n", "imports SQLAlchemy"),
        (USE_CASE, "import sqlalchemy.orm\n", "imports SQLAlchemy"),
        (USE_CASE, "async def f(work):\n  return await work._session.scalar(x)\n", "takes a repository's session"),
        (USE_CASE, "async def f(core, body):\n  core.database.read(body.owner)\n", "not for its caller's organisation"),
        (USE_CASE, "async def f(core, chosen):\n  core.database.write(chosen)\n", "not for its caller's organisation"),
    ],
)
def test_a_way_round_the_repositories_is_found(path: str, text: str, problem: str) -> None:
    (finding,) = scoping.check({Path(path): text}, {})
    assert problem in str(finding)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (USE_CASE, "async def f(core, caller):\n  core.database.read(caller.organisation)\n"),
        (
            USE_CASE.replace("usecases", "jobs"),
            "async def f(core, organisation):\n  core.database.read(organisation)\n",
        ),
        (
            BAILE,
            SQL + "where = [self.mine, Row.id == x]\n    return await self._session.scalars(select(Row).where(*where))",
        ),
    ],
)
def test_the_way_through_the_repositories_passes(path: str, text: str) -> None:
    assert scoping.check({Path(path): text}, {}) == []


def test_an_exception_that_nothing_needs_is_found() -> None:
    text = SQL + "return await self.scalars(select(Row).where(self.mine))"
    (finding,) = scoping.check({Path(BAILE): text}, {scoped_name(BAILE): "was needed once"})
    assert "needs no exception" in str(finding)


def scoped_name(path: str) -> str:
    """A module as exceptions name it."""
    parts = Path(path).parts
    return "/".join((parts[1], *parts[3:]))
