"""Makes the many tallies of busy albums into few."""

from studio9_baile.core import Core

AT_ONCE = 20
"""Albums of one transaction."""


class Tallier:
    """The step of the tallies' loop."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def step(self) -> bool:
        """Whether there may be more to do. Raises DatabaseUnavailable."""
        async with self._core.database.system() as work:
            return await work.gather_tallies(AT_ONCE)
