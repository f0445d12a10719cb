"""Two arms, measured in turns, so that what else the machine does hits both alike."""

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
