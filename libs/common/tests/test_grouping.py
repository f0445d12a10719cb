"""Group commit: what leaves together, in which bounds, and what a failing batch, or item, does to its writers."""

import asyncio
from collections.abc import Sequence

import pytest

from studio9_common.errors import Unavailable
from studio9_common.grouping import Gatherer


class Store:
    """Answers a batch when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def send(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [item * 10 for item in items]


async def test_what_arrives_under_way_leaves_together_in_the_next() -> None:
    store = Store()
    gatherer: Gatherer[int, int] = Gatherer(store.send)
    first = [asyncio.create_task(gatherer.submit(n, 1)) for n in (1, 2)]
    await store.asked.wait()
    rest = [asyncio.create_task(gatherer.submit(n, 1)) for n in (3, 4, 5)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40, 50]
    assert store.batches == [[1, 2], [3, 4, 5]] and gatherer.batches == 2


@pytest.mark.parametrize(
    ("max_items", "max_bytes", "expected"), [(2, 100, [[1, 2], [3, 4], [5]]), (9, 20, [[1, 2], [3], [4, 5]])]
)
async def test_a_batch_is_bounded_by_count_and_by_bytes(
    max_items: int, max_bytes: int, expected: list[list[int]]
) -> None:
    store = Store()
    store.gate.set()
    gatherer: Gatherer[int, int] = Gatherer(store.send, max_items=max_items, max_bytes=max_bytes)
    sizes = {1: 10, 2: 10, 3: 30, 4: 10, 5: 10}
    await asyncio.gather(*(gatherer.submit(n, size) for n, size in sizes.items()))
    assert store.batches == expected


async def test_a_failing_batch_fails_its_own_writers_only() -> None:
    store = Store()
    store.error = Unavailable("away")
    gatherer: Gatherer[int, int] = Gatherer(store.send, max_items=1)
    store.gate.set()
    outcomes = await asyncio.gather(*(gatherer.submit(n, 1) for n in (1, 2)), return_exceptions=True)
    assert outcomes == [store.error, store.error]
    store.error = None
    assert await gatherer.submit(3, 1) == 30


async def test_drain_waits_for_what_is_under_way() -> None:
    store = Store()
    gatherer: Gatherer[int, int] = Gatherer(store.send)
    write = asyncio.create_task(gatherer.submit(1, 1))
    await asyncio.sleep(0)
    draining = asyncio.create_task(gatherer.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    store.gate.set()
    await draining
    assert await write == 10


async def test_an_item_that_fails_fails_alone() -> None:
    async def send(items: Sequence[int]) -> list[int | Exception]:
        return [LookupError(item) if item % 2 else item for item in items]

    gatherer: Gatherer[int, int] = Gatherer(send)
    one, two = await asyncio.gather(gatherer.submit(1), gatherer.submit(2), return_exceptions=True)
    assert (type(one), two, gatherer.batches) == (LookupError, 2, 1)
