"""Short work in a thread, shared: what is asked for while a thread is at work goes together with the next hop.

A hop to a thread and back costs more than to write a small file; with thousands of them the hops would be the work.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from studio9_common.grouping import Gatherer

Answer = TypeVar("Answer")


class SharedHop:
    """Runs what it is given one after the other, in the order of asking; whoever fails fails alone."""

    def __init__(self) -> None:
        self._gatherer: Gatherer[Callable[[], Any], Any] = Gatherer(_hop)

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """The work's answer. Work that nobody waits for any more is done all the same."""
        answer: Answer = await self._gatherer.submit(work)
        return answer


async def _hop(works: Sequence[Callable[[], Any]]) -> list[Any]:
    return await asyncio.to_thread(_all, works)


def _all(works: Sequence[Callable[[], Any]]) -> list[Any]:
    outcomes: list[Any] = []
    for work in works:
        try:
            outcomes.append(work())
        except Exception as error:
            outcomes.append(error)
    return outcomes
