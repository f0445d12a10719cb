"""Forgets keys of users' own buckets that no credential names any more: those of a deleted user, or of a
credential that was never kept, where Argo was away when they were to be forgotten."""

from datetime import timedelta

from studio9_baile.core import Core
from studio9_baile.usecases.credentials import AUDIENCES, NAMED, forget
from studio9_common.logs import logger
from studio9_common.times import parse_time

ON_THE_WAY = timedelta(hours=1)
"""So long after its secret a credential's row may still come."""


class KeysSweeper:
    """The step of the keys' loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = logger("baile")

    async def step(self) -> bool:
        """One sweep of all organisations. Raises Unavailable while Argo is away."""
        async with self._core.database.system(writing=False) as system:
            organisations = await system.organisation_ids()
        for organisation in organisations:
            if count := await self._sweep(organisation):
                self._log.info("keys_forgotten", organisation=organisation, secrets=count)
        return False

    async def _sweep(self, organisation: str) -> int:
        """How many were forgotten."""
        until = self._core.clock.now() - ON_THE_WAY
        old = [
            one.id
            async for one in self._core.argo.list_secrets(organisation=organisation)
            if one.name.startswith(NAMED) and one.audiences == AUDIENCES and parse_time(one.updated_at) <= until
        ]
        async with self._core.database.read(organisation) as work:
            known = await work.credentials.many(old)
        unnamed = [one for one in old if one not in known]
        for one in unnamed:
            await forget(self._core, organisation, one)
        return len(unnamed)
