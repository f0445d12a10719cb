"""The bench kit: interleaving, medians, ratios in the right direction, goals, the report's keys."""

import json
from pathlib import Path

import pytest

import studio9_cli.bench
from studio9_cli.bench import Bench, Figure, Spread
from studio9_cli.bench.kit import running
from studio9_cli.bench.kit.figures import compared
from studio9_cli.main import main

MODULE = '''"""Counts to a goal."""
from studio9_cli.bench import Bench, Figure
NEEDS = ()
async def run(bench: Bench) -> list[Figure]:
    async def ours(seconds: float) -> float:
        return 2.0
    async def theirs(seconds: float) -> float:
        return 4.0
    return [
        await bench.paired("count_vs_peer_ratio", "counts/s", ours, theirs, against="a peer", goal=GOAL),
        Figure("wait_p99_ms", "ms", 3.0, goal=5.0, at_most=True),
    ]
'''


@pytest.fixture
def benches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "counting_met.py").write_text(MODULE.replace("GOAL", "0.4"))
    (tmp_path / "counting_missed.py").write_text(MODULE.replace("GOAL", "0.6"))
    monkeypatch.setattr(studio9_cli.bench, "__path__", [str(tmp_path)])
    return tmp_path


async def test_arms_are_interleaved_and_both_begin_in_turn() -> None:
    order: list[tuple[str, float]] = []

    async def ours(seconds: float) -> float:
        order.append(("ours", seconds))
        return 10.0

    async def theirs(seconds: float) -> float:
        order.append(("theirs", seconds))
        return 5.0

    figure = await Bench({}).paired("x_ratio", "1/s", ours, theirs, against="peer", goal=1.5)
    assert [name for name, _ in order] == ["ours", "theirs", "theirs", "ours"] * 2 + ["ours", "theirs"]
    assert {seconds for _, seconds in order} == {10.0}
    assert (figure.ours, figure.reference_value, figure.ratio, figure.met) == (10.0, 5.0, 2.0, True)


def test_ratio_above_one_means_better_whatever_the_direction() -> None:
    pairs = [(10.0, 20.0), (10.0, 30.0), (10.0, 40.0)]
    slow = compared("latency_ratio", "ms", pairs, against="peer", goal=2.0, higher_is_better=False)
    assert (slow.ratio, slow.met) == (3.0, True)
    fast = compared("speed_ratio", "1/s", pairs, against="peer", goal=2.0)
    assert fast.ratio == pytest.approx(1 / 3) and fast.met is False
    plain = compared("latency_ms", "ms", pairs, against="peer", goal=9.0, higher_is_better=False)
    assert plain.judged == 10.0 and plain.met is False


def test_spread_keeps_median_and_quartiles() -> None:
    assert Spread((5.0, 1.0, 3.0, 2.0, 4.0)).to_json() == {
        "median": 3.0,
        "quartiles": [2.0, 4.0],
        "values": [5.0, 1.0, 3.0, 2.0, 4.0],
    }


def test_a_ratio_figure_must_have_a_ratio() -> None:
    with pytest.raises(ValueError, match="judged by its ratio"):
        Figure("x_ratio", "1/s", 3.0)


def test_report_has_the_agreed_keys(benches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    assert main(["bench", "counting-met", "--json", str(report)]) == 0
    written = json.loads(report.read_text())
    assert {"bench", "commit", "machine", "figures"} <= written.keys()
    keys = {"name", "unit", "ours", "reference", "reference_value", "ratio", "goal", "met"}
    assert all(keys <= figure.keys() for figure in written["figures"])
    first, second = written["figures"]
    assert (first["ratio"], first["met"], first["ratio_spread"]["quartiles"]) == (0.5, True, [0.5, 0.5])
    assert (second["reference"], second["ratio"], second["met"]) == (None, None, True)
    assert "counting-met" not in capsys.readouterr().err


def test_a_missed_goal_fails_unless_quick(benches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "counting-missed"]) == 1
    assert main(["bench", "counting-missed", "--quick"]) == 0
    assert "NOT met" in capsys.readouterr().out


def test_list_shows_first_lines(benches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    assert "counting-met     Counts to a goal." in capsys.readouterr().out
    assert set(running.known()) == {"counting-met", "counting-missed"}
