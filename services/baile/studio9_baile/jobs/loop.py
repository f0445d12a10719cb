"""Background work that goes on until it is stopped, whatever fails in between."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from studio9_baile.bell import Bell
from studio9_common.errors import Unavailable
from studio9_common.logs import logger
from studio9_common.tasks import end

FIRST_S, LAST_S = 0.2, 10.0
STOP_LIMIT_S = 5.0
"""How long a step may go on after `stop`."""


class Loop:
    """Calls `step` again and again. It returns whether there may be more to do at once; if not, the next call comes
    with a ring of `bell_name`, or after `every_s` seconds. The first comes after `first_s` seconds. After a failure it
    waits, up to 10 s, longer each time."""

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[bool]],
        *,
        every_s: float,
        bell: Bell | None = None,
        bell_name: str = "",
        first_s: float = 0.0,
    ) -> None:
        self.name, self._step, self._every_s, self._first_s = name, step, every_s, first_s
        self._bell, self._bell_name = bell or Bell(), bell_name or name
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._resting = asyncio.Event()
        self._resting.set()
        self._log = logger("baile").bind(loop=name)

    @property
    def ended(self) -> bool:
        """Whether it has ended although nobody stopped it."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"baile-{self.name}")

    async def stop(self) -> None:
        """Lets a step end within the limit, so that none is cut in a transaction; whatever it did can be repeated."""
        task, self._task = self._task, None
        self._stopping = True
        if task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._resting.wait()
        await end(task)

    async def _run(self) -> None:
        failed = 0
        await asyncio.sleep(self._first_s)
        while not self._stopping:
            try:
                more = await self._whole_step()
                failed = 0
                if not more:
                    await self._bell.wait(self._bell_name, self._every_s)
                else:
                    await asyncio.sleep(0)
            except Exception as error:
                failed += 1
                if isinstance(error, Unavailable):
                    self._log.warning("dependency_down", message=error.message)
                else:
                    self._log.error("step_failed", exc_info=error)
                await asyncio.sleep(min(LAST_S, FIRST_S * 2 ** min(failed - 1, 8)) * random.uniform(0.5, 1.0))

    async def _whole_step(self) -> bool:
        self._resting.clear()
        try:
            return await self._step()
        finally:
            self._resting.set()
