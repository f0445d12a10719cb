"""A program that is asked for its catalogue may end in the moment in which it is given up."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from studio9_worker.announcement import end_process


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_end_of_a_process_that_has_ended_is_no_error(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def ended() -> list[int | None]:
        short = await asyncio.create_subprocess_exec("true")
        await short.wait()
        long = await asyncio.create_subprocess_exec("sleep", "60")
        for process in (short, long):
            await end_process(process)
        return [short.returncode, long.returncode]

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(ended()) == [0, -9]
