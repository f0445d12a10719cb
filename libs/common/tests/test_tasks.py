"""Tasks that do not take the first cancellation for an end."""

import asyncio

import pytest

from studio9_common import tasks


async def test_a_loop_that_lost_a_cancellation_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    lost = 0

    async def loop() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:  # as a library's error in its place
                lost += 1
                if lost > 3:
                    raise

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert (task.cancelled(), lost) == (True, 4)


async def test_what_cleans_up_is_not_cancelled_again_at_once() -> None:
    done = False

    async def work() -> None:
        nonlocal done
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            done = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert done


async def test_ended_tasks_keep_what_they_raised() -> None:
    async def fail() -> None:
        raise ValueError("its own")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    await tasks.end(task)
    assert str(task.exception()) == "its own"
