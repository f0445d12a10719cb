"""Background work goes on whatever fails in between, and is never cut in the middle of a step."""

import asyncio

from studio9_baile.bell import Bell
from studio9_baile.jobs.loop import Loop
from studio9_common.errors import Unavailable


async def test_a_step_that_fails_is_done_again_and_a_ring_wakes() -> None:
    outcomes: list[Exception | bool] = [Unavailable(), ZeroDivisionError(), True, False, False]
    done = asyncio.Queue[object]()

    async def step() -> bool:
        outcome = outcomes.pop(0)
        await done.put(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    bell = Bell()
    loop = Loop("work", step, every_s=60, bell=bell)
    loop.start()
    async with asyncio.timeout(20):
        for _ in range(4):
            await done.get()
        assert outcomes == [False], "the fifth one does not come by itself"
        bell.ring("work")
        await done.get()
    await loop.stop()
    assert outcomes == []


async def test_a_stop_waits_for_the_step_and_not_for_the_pause() -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), []

    async def step() -> bool:
        begun.set()
        await go_on.wait()
        ended.append(True)
        return True

    loop = Loop("work", step, every_s=60)
    loop.start()
    async with asyncio.timeout(20):
        await begun.wait()
        stop = asyncio.create_task(loop.stop())
        await asyncio.sleep(0)
        assert not stop.done()
        go_on.set()
        await stop
    assert ended == [True]
    rested = asyncio.Event()

    async def rest() -> bool:
        rested.set()
        return False

    idle = Loop("idle", rest, every_s=60)
    idle.start()
    async with asyncio.timeout(20):
        await rested.wait()
        await idle.stop()
    rested.clear()
    later = Loop("later", rest, every_s=60, first_s=60)
    async with asyncio.timeout(20):
        later.start()
        await asyncio.sleep(0)
        await later.stop()
    assert not rested.is_set(), "it has not begun"
