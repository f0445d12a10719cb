"""The agent dies, its successor goes on, the task never notices; what nobody owns is removed."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from studio9_common.ids import new_id

from .harness import Platform


async def test_an_agent_killed_in_mid_task_is_followed_by_another(platform: Platform) -> None:
    job = new_id()
    command = [sys.executable, str(Path(__file__).parent / "agent_process.py")]
    given = [str(platform.folder), platform.engine.url, platform.image, job]
    await platform.pause()
    agent = await asyncio.create_subprocess_exec(*command, *given)
    folder = platform.task_folder(job)
    await platform.until(lambda: folder.log.exists() and "waiting" in folder.log.read_text())
    agent.kill()
    await agent.wait()
    before: Any = platform.engine.inspect(platform.container(job))
    assert before["State"]["Running"]

    await platform.open()
    await platform.start_worker()
    (folder.inputs / "go").touch()
    result = await platform.result(job)
    assert (result.outcome, result.summary["uid"]) == ("succeeded", 10001)
    await platform.clean(job)
    assert [one.job for one in platform.results] == [job] * len(platform.results)


async def test_a_task_that_ended_without_its_agent_is_reported_by_the_next(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("wait")
    await platform.progress(job)
    await platform.stop_worker()
    assert platform.engine.find(platform.container(job)).runs  # type: ignore[union-attr]
    (platform.task_folder(job).inputs / "go").touch()
    await platform.until(lambda: not platform.engine.find(platform.container(job)).runs)  # type: ignore[union-attr]
    assert not platform.results
    await platform.start_worker()
    assert (await platform.result(job)).outcome == "succeeded"
    await platform.clean(job)


async def test_a_container_that_nobody_owns_is_swept(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("wait")
    await platform.progress(job)
    await platform.stop_worker()
    (platform.folder / "worker" / "worker.sqlite").unlink()
    await platform.start_worker()
    await platform.clean(job)
    assert platform.containers() == []


async def test_a_container_that_was_removed_behind_our_back_is_the_infrastructures_fault(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("wait")
    await platform.progress(job)
    platform.engine.remove(platform.container(job))
    result = await platform.result(job)
    assert result.reason is not None
    assert (result.reason.code, result.reason.class_) == ("runner_error", "infrastructure")
    await platform.clean(job)


async def test_an_engine_that_is_away_fails_no_task(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("wait")
    await platform.progress(job)
    url, runner = platform.engine.url, platform.runner
    runner.engine.close()
    runner.engine.url = "unix:///nonexistent/docker.sock"
    assert (await runner.find(platform.task_folder(job))).state == "running"
    runner.engine.close()
    runner.engine.url = url
    (platform.task_folder(job).inputs / "go").touch()
    assert (await platform.result(job)).outcome == "succeeded"
    await platform.clean(job)
