"""The embedded platform is stopped in the middle of a job, and started again on the same folder."""

from pathlib import Path

import pytest

from studio9_common.contracts.job import Phase

from .embedded import EmbeddedPlatform


@pytest.mark.parametrize("stop_tasks", [True, False])
async def test_the_next_start_goes_on(tmp_path: Path, stop_tasks: bool) -> None:
    """`stop_tasks`: as `studio9 up` does. Without, tasks go on while the platform is away."""
    settings = {"stop_tasks_on_exit": stop_tasks}
    async with EmbeddedPlatform.opened(tmp_path, **settings) as platform:
        asks = platform.requester
        job = await asks.submit("train", parameters={"epochs": 3, "wait": True})
        waiting = await asks.submit("nothing", labels=["on-no-worker"])
        running = await asks.working(job, epoch=2)
        await asks.in_phase(waiting, Phase.queued)
    folder = platform.task(running.attempts[-1].worker, job).root
    folder.joinpath("go").touch()

    async with EmbeddedPlatform.opened(tmp_path, organisation=asks.organisation, **settings) as platform:
        asks = platform.requester
        done = await asks.completed(job)
        outcomes = [attempt.outcome for attempt in done.attempts]
        resumed = done.result and done.result.summary["resumed_from"]
        assert (outcomes, resumed) == ((["failed", "succeeded"], 2) if stop_tasks else (["succeeded"], 0))
        await asks.clean(job)
        await asks.cancel(waiting)
        await asks.clean(waiting)
        await platform.gone(running.attempts[-1].worker, job)
