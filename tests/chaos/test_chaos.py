"""Two short runs of `studio9 chaos`: own servers, processes that are killed, and a judge that finds nothing."""

from typing import Any

import pytest

from studio9_cli.chaos.campaign import DELIVERY_TIMEOUT_S, Options, campaign
from studio9_cli.chaos.pace import HURRIED
from studio9_cli.chaos.platform import CannotRun, scratch
from studio9_cli.chaos.report import in_words

SEED = 3976
"""Its faults end a machine with its tasks, freeze Aries and a worker, kill an Orion and the broker."""
pytestmark = pytest.mark.filterwarnings(
    # aio-pika closes a connection that never came to be when it is collected, wherever that happens.
    "ignore:coroutine 'Connection.close' was never awaited:RuntimeWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


async def report_of(minutes: float, seed: int, jobs: int) -> dict[str, Any]:
    with scratch() as folder:
        try:
            return await campaign(Options(minutes, seed, jobs, HURRIED), folder, print)
        except CannotRun as error:
            pytest.skip(str(error))


def judged(report: dict[str, Any], jobs: int) -> None:
    assert report["findings"] == [], "\n".join(in_words(report))
    assert report["submitted"] == jobs == sum(report[state] for state in ("completed", "failed", "cancelled"))
    assert report["completed"] > jobs / 2
    assert report["faults"] > 0
    held = report["delivery_timeout"]
    assert held["came_again"]
    assert DELIVERY_TIMEOUT_S <= held["cut_after_s"] <= DELIVERY_TIMEOUT_S + 4


async def test_a_short_run_loses_doubles_and_leaves_nothing() -> None:
    judged(await report_of(0.5, SEED, 30), 30)


@pytest.mark.slow
async def test_a_longer_run_at_random_moments() -> None:
    judged(await report_of(2.5, SEED + 1, 150), 150)
