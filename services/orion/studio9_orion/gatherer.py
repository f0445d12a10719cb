"""Work that nobody waits for, done in batches: what arrives while one batch is in work goes into the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from studio9_common.errors import Unavailable
from studio9_common.logs import logger
from studio9_common.tasks import end

Item = TypeVar("Item")


class Gatherer(Generic[Item]):
    """Collects items and calls `work` with those that are there, one batch at a time; each waits `pause_s` for others,
    and a batch `every_s` for the next.

    What fails because a store is away, and what is left at `stop`, is dropped: it is found again by a sweep.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Item]], Awaitable[None]],
        *,
        pause_s: float = 0.0,
        every_s: float = 0.0,
        most: int = 200,
    ) -> None:
        self._work = work
        self._pause_s, self._every_s = pause_s, every_s
        self._most = most
        self._items: dict[Item, float] = {}
        """With the moment at which its turn comes, the oldest first."""
        self._in_work: dict[Item, float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._name = name
        self._log = logger("orion").bind(gatherer=name)

    def add(self, item: Item) -> None:
        """Remembers an item once, however often it is added before its batch."""
        self._items.setdefault(item, asyncio.get_running_loop().time() + self._pause_s)
        self._wake.set()

    def discard(self, item: Item) -> None:
        """Forgets an item that needs no work any more."""
        self._items.pop(item, None)

    def holds(self, item: Item, *, within_s: float) -> bool:
        """Whether an item waits here or is in work, and has not done so for longer than that since its turn came."""
        since = self._items.get(item, self._in_work.get(item))
        return self.runs and since is not None and asyncio.get_running_loop().time() - since < within_s

    @property
    def runs(self) -> bool:
        """Whether what is added will be worked on."""
        return self._task is not None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"orion-{self._name}")

    async def stop(self, *, rest: bool = True) -> None:
        """Does what is there once more, within 3 s, unless the `rest` is others', then ends."""
        task, self._task = self._task, None
        if task is None:
            return
        await end(task)
        if self._items and rest:
            try:
                async with asyncio.timeout(3):
                    while self._items:
                        await self._batch(list(self._items))
            except Exception as error:
                self._log.info("left_to_the_sweep", items=len(self._items), reason=repr(error))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            try:
                await self._batch(await self._ripe())
            except Unavailable as error:
                self._log.warning("left_to_the_sweep", reason=str(error))
            except Exception:
                self._log.exception("batch_failed")
            if self._every_s and len(self._items) < self._most:
                await asyncio.sleep(self._every_s)

    async def _ripe(self) -> list[Item]:
        """Those that have waited long enough, once the oldest has."""
        loop = asyncio.get_running_loop()
        wait_s = next(iter(self._items.values()), 0.0) - loop.time()
        if wait_s > 0:
            await asyncio.sleep(max(wait_s, self._pause_s / 10))
        now = loop.time()
        return [item for item, ripe in self._items.items() if ripe <= now]

    async def _batch(self, items: list[Item]) -> None:
        batch = items[: self._most]
        self._in_work = {item: self._items.pop(item) for item in batch}
        if not self._items:
            self._wake.clear()
        try:
            if batch:
                await self._work(batch)
        finally:
            self._in_work = {}
