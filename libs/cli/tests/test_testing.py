"""The test command's planning, counting and summary."""

from collections import Counter
from pathlib import Path

import pytest

from studio9_cli.servers.fleet import Outcome, servers
from studio9_cli.testing import parts, summary
from studio9_cli.testing.results import Result, from_junit

JUNIT = """<testsuites><testsuite>
<properties><property name="note" value="a task's disk: polled"/><property name="other" value="no"/></properties>
<testcase classname="t.test_a" name="test_good" time="1.5"/>
<testcase classname="t.test_a" name="test_bad"><failure message="no"/></testcase>
<testcase classname="t.test_a" name="test_bad"><error message="and at tear-down"/></testcase>
<testcase classname="t.test_a" name="test_torn"/>
<testcase classname="t.test_a" name="test_torn"><error message="tear-down only"/></testcase>
<testcase classname="t.test_b" name="test_absent"><skipped type="pytest.skip" message="needs Go"/></testcase>
<testcase classname="t.test_b" name="test_known"><skipped type="pytest.xfail" message="known"/></testcase>
<testcase classname="" name="t.test_c"><error message="collection failure"/></testcase>
</testsuite></testsuites>"""


E2E = ("e2e", "e2e-2")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for file in (
        "libs/common/tests/test_a.py",
        "libs/task/tests/test_a.py",
        "libs/trainers/tests/test_a.py",
        "services/baile/tests/test_a.py",
        "services/baile/tests/runs/test_a.py",
        "services/orion/tests/test_a.py",
        "tests/contract/bus/test_a.py",
        "tests/deploy/test_a.py",
        "tests/e2e/test_a.py",
        "tests/e2e/test_journey.py",
        "tests/simulation/test_a.py",
        "tests/simulation/test_campaign.py",
        "tests/chaos/test_a.py",
        "tests/bench/test_a.py",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "tests/integration").mkdir()
    return tmp_path


def test_counts_each_test_once(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(JUNIT)
    result = from_junit("unit", report)
    assert (result.passed, result.failed, result.skipped) == (2, 3, 1)
    assert result.failures == ["t.test_a::test_bad", "t.test_a::test_torn", "t.test_c"]
    assert result.reasons == Counter({"needs Go": 1})
    assert result.notes == ["a task's disk: polled"]
    assert result.durations_s["t.test_a::test_good"] == 1.5


def test_whole_run_is_planned_by_environment_and_suite(repository: Path) -> None:
    plan = {part.name: part for part in parts.planned(repository, unit=False, everything=False)}
    assert list(plan) == [
        *("trainers", "baile", "baile-2", "contract", "deploy", "unit", "simulation"),
        "simulation-2",
        *E2E,
        "chaos",
    ]
    assert plan["baile"].paths == ("services/baile/tests/test_a.py",)
    assert plan["baile-2"].paths == ("services/baile/tests/runs",)
    assert plan["unit"].paths == ("libs/common/tests", "services/orion/tests")
    assert plan["trainers"].paths == ("libs/task/tests", "libs/trainers/tests")
    assert plan["unit"].servers == ("postgresql",)
    assert [name for name, part in plan.items() if part.servers == parts.EVERY] == ["contract", *E2E]
    assert plan["e2e-2"].paths == ("tests/e2e/test_journey.py",) and plan["e2e-2"].training
    turns = [part.turn for part in plan.values()]
    assert turns == sorted(turns) and plan["unit"].turn == plan["simulation"].turn < plan["e2e"].turn
    assert turns.count(plan["simulation-2"].turn) == turns.count(plan["chaos"].turn) == 1
    assert [name for name, part in plan.items() if part.yielding] == ["simulation"]
    everything = parts.planned(repository, unit=False, everything=True)
    assert [part.name for part in everything][-1] == "bench"
    alone = parts.planned(repository, unit=True, everything=False)
    assert [(part.name, part.servers) for part in alone] == [
        (name, ()) for name in ("trainers", "baile", "baile-2", "unit")
    ]


def test_what_a_second_half_names_is_there() -> None:
    for folder, names in parts.SECOND.items():
        there = {path.name for path in (Path(__file__).parents[3] / folder).iterdir()}
        assert set(names) < there, folder


def test_named_paths_go_to_their_environment(repository: Path) -> None:
    found = parts.chosen(
        repository,
        ["../libs/task/tests", "contract/bus/test_a.py::test_x", "../services/orion/tests/test_a.py", "deploy"],
        start=repository / "tests",
    )
    assert {part.name: (part.environment, part.paths, part.servers) for part in found} == {
        "trainers": ("trainers", ("libs/task/tests",), ()),
        "contract": ("platform", ("tests/contract/bus/test_a.py::test_x",), parts.EVERY),
        "unit": ("platform", ("services/orion/tests/test_a.py",), ()),
        "deploy": ("platform", ("tests/deploy",), ()),
    }


def test_the_names_of_servers_are_the_fleets() -> None:
    assert tuple(server.name for server in servers()) == parts.EVERY


def test_summary_ends_with_the_total_and_names_every_reason() -> None:
    results = [
        Result("unit", passed=3, seconds=1.25, notes=["on one thread"]),
        Result(
            "contract",
            passed=1,
            failed=1,
            skipped=2,
            reasons=Counter({"needs Go": 2}),
            failures=["t::test_x"],
            durations_s={"t::test_x": 61.25},
        ),
    ]
    servers = [
        Outcome("rabbitmq", "RabbitMQ 3", "Debian package", {"X": "amqp://user:password@host"}, seconds=4.0),
        Outcome("s3", "MinIO", "", {}, reason="needs Go"),
    ]
    text = summary.summary(results, servers, "5 modules", 61.0)
    assert text.splitlines()[-1] == "4 passed, 1 failed, 2 skipped"
    for words in (
        "2 × needs Go",
        "contract: t::test_x",
        "RabbitMQ 3",
        "Debian package (4.0 s)",
        "not run: needs Go",
        "unit: on one thread",
        "61.2 contract: t::test_x",
    ):
        assert words in text
    assert "password" not in text


def test_empty_run_has_a_total_too() -> None:
    assert summary.total([]) == "0 passed, 0 failed, 0 skipped"
