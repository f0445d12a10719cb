"""Short work in a thread, shared: what is asked for while a thread is at work goes together with the next hop.

A hop to a thread and back costs more than to write a small file; with thousands of them the hops would be the work.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class SharedHop:
    """Runs what it is given one after the other, in the order of asking; whoever fails fails alone."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """The work's answer. Work that nobody waits for any more is done all the same."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="shared-hop")
        answer: Answer = await done
        return answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                outcomes = await asyncio.to_thread(_all, [work for work, _ in together])
                for (_, done), outcome in zip(together, outcomes, strict=True):
                    if done.done():
                        continue
                    if isinstance(outcome, Exception):
                        done.set_exception(outcome)
                    else:
                        done.set_result(outcome)
        finally:
            self._working = None


def _all(works: list[Callable[[], Any]]) -> list[Any]:
    outcomes: list[Any] = []
    for work in works:
        try:
            outcomes.append(work())
        except Exception as error:
            outcomes.append(error)
    return outcomes
