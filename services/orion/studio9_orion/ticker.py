"""Calls something again and again. It decides nothing: what is due stands in the store."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from studio9_common.errors import Studio9Error
from studio9_common.logs import logger
from studio9_common.tasks import end


class Ticker:
    """Calls `work` at once, and again `every_s` seconds after it ended; what fails is logged and tried again then.
    `ticked` is told how long each call took, what it came to, and whether it was done or failed."""

    def __init__(
        self,
        name: str,
        every_s: float,
        work: Callable[[], Awaitable[object]],
        ticked: Callable[[str, float, object, bool], None] = lambda name, seconds, result, done: None,
    ) -> None:
        self.name = name
        self._every_s, self._work, self._ticked = every_s, work, ticked
        self._task: asyncio.Task[None] | None = None
        self._log = logger("orion").bind(ticker=name)

    @property
    def ended(self) -> bool:
        """Whether it has ended although nobody stopped it."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"orion-{self.name}")

    async def stop(self) -> None:
        """Breaks off; what was half done is done by the next sweep, here or elsewhere."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    async def _run(self) -> None:
        while True:
            began, result, done = time.perf_counter(), None, False
            try:
                result = await self._work()
                done = True
            except Studio9Error as error:
                self._log.warning("tick_failed", reason=str(error))
            except Exception:
                self._log.exception("tick_failed")
            self._ticked(self.name, time.perf_counter() - began, result, done)
            await asyncio.sleep(self._every_s)
