"""Tells Argo what deployments need: in order per key, and again until it has been told."""

from datetime import timedelta

from studio9_baile.core import Core
from studio9_baile.models.jobs import ConfigWrite
from studio9_common.errors import Studio9Error, Unavailable
from studio9_common.logs import logger

BATCH = 100
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0


class ConfigWriter:
    """The step of the configuration's loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = logger("baile")

    async def step(self) -> bool:
        """Writes what waits, the newest value of each key only; whether there may be more. Raises Unavailable.

        A value that Argo refuses is offered again later and does not hold up the others. A crash after the writing
        repeats it, which changes nothing.
        """
        async with self._core.database.system(writing=False) as work:
            due = await work.due_config(BATCH)
        newest = {(row.organisation, row.service, row.key): row for row in due}
        for row in newest.values():
            try:
                await self._write(row)
            except Unavailable:
                raise
            except Studio9Error as error:
                self._log.error("configuration_refused", key=row.key, reason=error.message)
                wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(row.times, 10))
                async with self._core.database.system() as work:
                    await work.postpone_config(row.id, work.now + timedelta(seconds=wait))
                continue
            async with self._core.database.system() as work:
                await work.settle_config(row)
        return len(due) == BATCH

    async def _write(self, row: ConfigWrite) -> None:
        argo = self._core.argo
        if row.value is None:
            await argo.remove(row.service, row.key, scope="organisation", organisation=row.organisation)
        else:
            await argo.save(row.service, row.key, row.value, scope="organisation", organisation=row.organisation)
