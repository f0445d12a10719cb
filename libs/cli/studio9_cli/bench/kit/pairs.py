"""Two arms, measured in turns, so that what else the machine does hits both alike."""

import time
from collections.abc import Awaitable, Callable

# Measures for at least so many seconds, and gives the figure (a rate, a latency, …).
Arm = Callable[[float], Awaitable[float]]


async def interleaved(ours: Arm, reference: Arm, *, pairs: int, min_s: float) -> list[tuple[float, float]]:
    """Measures pairs (ours, reference); every other pair begins with the reference, against drift."""
    found = []
    for turn in range(pairs):
        if turn % 2:
            other = await reference(min_s)
            mine = await ours(min_s)
        else:
            mine = await ours(min_s)
            other = await reference(min_s)
        found.append((mine, other))
    return found


def rate(step: Callable[[], Awaitable[int]]) -> Arm:
    """An arm that repeats a step and gives what it did per second; a step gives how many things it did."""

    async def arm(seconds: float) -> float:
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            done += await step()
        return done / (time.perf_counter() - started)

    return arm
