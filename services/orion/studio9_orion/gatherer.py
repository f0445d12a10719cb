"""Work that nobody waits for, done in batches: what arrives while one batch is in work goes into the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from studio9_common.errors import Unavailable
from studio9_common.logs import logger

Item = TypeVar("Item")


class Gatherer(Generic[Item]):
    """Collects items and calls `work` with those that are there, one batch at a time, `pause_s` after the first.

    What fails because a store is away, and what is left at `stop`, is dropped: it is found again by a sweep.
    """

    def __init__(
        self, name: str, work: Callable[[list[Item]], Awaitable[None]], *, pause_s: float = 0.0, most: int = 200
    ) -> None:
        self._work = work
        self._pause_s = pause_s
        self._most = most
        self._items: dict[Item, None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._name = name
        self._log = logger("orion").bind(gatherer=name)

    def add(self, item: Item) -> None:
        """Remembers an item once, however often it is added before its batch."""
        self._items[item] = None
        self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"orion-{self._name}")

    async def stop(self) -> None:
        """Does what is there once more, within 3 s, then ends."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self._items:
            try:
                async with asyncio.timeout(3):
                    await self._batch()
            except Exception as error:
                self._log.info("left_to_the_sweep", items=len(self._items), reason=repr(error))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
            try:
                await self._batch()
            except Unavailable as error:
                self._log.warning("left_to_the_sweep", reason=str(error))
            except Exception:
                self._log.exception("batch_failed")

    async def _batch(self) -> None:
        while self._items:
            batch = list(self._items)[: self._most]
            for item in batch:
                del self._items[item]
            await self._work(batch)
        self._wake.clear()
