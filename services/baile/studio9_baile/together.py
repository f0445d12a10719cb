"""What several requests ask for at the same moment, done in one go: while one lot is worked on, the next gathers.
Whoever comes alone waits for nobody."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

MOST = 100
"""Items of one lot."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Together:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def do(
        self, key: Hashable, item: Item, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
    ) -> Result:
        """The item's result, from one call of `work` for all items with this key that wait by then. Whose `work` it is
        that is called is not said: for one key they do the same. What it raises is raised for every item of the lot,
        an exception among its results for that item alone. It goes on even if who asked is cancelled."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if (waiting := self._waiting.get(key)) is not None:
            waiting.append((item, future))
        else:
            self._waiting[key] = [(item, future)]
            task = asyncio.create_task(self._work_off(key, work), name="baile-together")
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return await future

    async def _work_off(self, key: Hashable, work: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
        waiting = self._waiting[key]
        lot: list[tuple[Any, asyncio.Future[Any]]] = []
        try:
            while waiting:
                lot, waiting[:MOST] = waiting[:MOST], []
                try:
                    results = await work([item for item, _ in lot])
                except Exception as error:
                    results = [error] * len(lot)
                for (_, future), result in zip(lot, results, strict=True):
                    if future.done():  # nobody waits for it any more
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)
        finally:
            del self._waiting[key]
            for _, future in (*lot, *waiting):
                future.cancel()
