"""Asking a program for its catalogue ends in time, on Python's own event loop and on the one that services run on."""

import asyncio
import sys
from collections.abc import Callable

import pytest
import uvloop

from studio9_worker.announcement import NoCatalogue, ask_catalogue, end_process

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
LEAVES_ONE = """
import subprocess, sys
subprocess.Popen(["/bin/sleep", "8"], start_new_session=sys.argv[1] == "away")
print('{"a": 1}', flush=True)
if sys.argv[2] == "stays":
    subprocess.run(["/bin/sleep", "8"])
"""
"""Its child keeps the standard output, in the program's process group or `away` from it."""


@LOOPS
def test_the_end_of_a_process_that_has_ended_is_no_error(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def ended() -> list[int | None]:
        short = await asyncio.create_subprocess_exec("true", start_new_session=True)
        await short.wait()
        long = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
        for process in (short, long):
            await end_process(process)
        return [short.returncode, long.returncode]

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(ended()) == [0, -9]


@LOOPS
@pytest.mark.parametrize("place", ["beside", "away"])
def test_a_child_that_keeps_the_output_holds_up_nothing(
    loop: Callable[[], asyncio.AbstractEventLoop], place: str
) -> None:
    async def asked() -> object:
        async with asyncio.timeout(25):
            with pytest.raises(NoCatalogue, match="did not end within 1 s"):
                await ask_catalogue((sys.executable, "-c", LEAVES_ONE, place, "stays"), within_s=1.0)
            return await ask_catalogue((sys.executable, "-c", LEAVES_ONE, place, "ends"))

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(asked()) == {"a": 1}
