"""Calls something again and again. It decides nothing: what is due stands in the store."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from studio9_common.errors import Studio9Error
from studio9_common.logs import logger


class Ticker:
    """Calls `work` at once, and again `every_s` seconds after it ended; what fails is logged and tried again then."""

    def __init__(self, name: str, every_s: float, work: Callable[[], Awaitable[object]]) -> None:
        self._name, self._every_s, self._work = name, every_s, work
        self._task: asyncio.Task[None] | None = None
        self._log = logger("orion").bind(ticker=name)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"orion-{self._name}")

    async def stop(self) -> None:
        """Breaks off; what was half done is done by the next sweep, here or elsewhere."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except Studio9Error as error:
                self._log.warning("tick_failed", reason=str(error))
            except Exception:
                self._log.exception("tick_failed")
            await asyncio.sleep(self._every_s)
