"""Removes what is no longer needed."""

from datetime import timedelta

from studio9_baile.core import Core

SETTLED_DAYS = 7


class Forgetter:
    """The step of the forgetting loop."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def step(self) -> bool:
        async with self._core.database.system() as work:
            await work.forget(
                events_before=work.now - timedelta(days=self._core.settings.event_days),
                settled_before=work.now - timedelta(days=SETTLED_DAYS),
            )
        return False
