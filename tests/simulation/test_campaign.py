"""The campaign: 2,000 runs, where five minutes allow them; far more where time is given."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from studio9_cli.simulation import campaign
from studio9_cli.simulation.campaign import SORTS, find_plants, simulate
from studio9_cli.simulation.plants.catalogue import plants

RUNS, WITHIN_S = 2_000, 300.0
LEAST = 50
"""So many runs any machine makes in that time."""
MORE = 6_000


def held(report: dict[str, Any]) -> None:
    assert report["failures"] == []
    assert {report[name] for name in SORTS} == {0}
    assert report["simulated_hours"] >= report["runs"]


def test_nothing_is_lost_doubled_stuck_or_leaked(record_testsuite_property: Callable[[str, object], None]) -> None:
    cores = len(os.sched_getaffinity(0))
    report = simulate(RUNS, 0, tell=print, processes=min(cores, 8), within_s=WITHIN_S)
    record_testsuite_property("note", f"{report['runs']} of {RUNS} runs in {report['seconds']} s")
    print(f"never reached: {report['legal_pairs_missed']}")
    held(report)
    assert report["runs"] >= LEAST
    assert report["legal_pairs_reached"] > 0.5 * report["legal_pairs"]


def test_a_campaign_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "BATCH", 3)
    report = simulate(1_000, 0, tell=print, within_s=0.0)
    held(report)
    assert report["runs"] == 3


@pytest.mark.slow
def test_nothing_is_lost_in_many_runs() -> None:
    held(simulate(MORE, 1_000_000, tell=print, processes=min(len(os.sched_getaffinity(0)), 8)))


@pytest.mark.slow
def test_every_planted_bug_is_found() -> None:
    assert [
        one["name"]
        for one in find_plants(plants(), 0, tell=print, processes=min(len(os.sched_getaffinity(0)), 8))
        if not one["found"]
    ] == []
