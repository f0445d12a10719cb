"""Temporary keys of the object storage, renewed long before they end."""

import asyncio
import time
from collections.abc import Callable

from studio9_common.errors import Studio9Error
from studio9_common.logs import logger
from studio9_common.objects.port import ObjectsUnavailable
from studio9_common.objects.s3_url import Credentials
from studio9_worker.joining.orion import OrionForMembers

RENEWED_AT = 1 / 3
"""Of their life: two more tries fit before they end."""
AGAIN_S = 15.0


class LentKeys:
    """`current()` gives those that are valid now; `run()` renews them until it is cancelled."""

    def __init__(self, orion: OrionForMembers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._orion, self._clock = orion, clock
        self._keys: Credentials | None = None
        self._until = 0.0

    def current(self) -> Credentials:
        """Raises ObjectsUnavailable while there are none."""
        if self._keys is None or self._clock() >= self._until:
            raise ObjectsUnavailable("Orion has lent no keys of the object storage yet; it is asked again")
        return self._keys

    async def renew(self) -> float:
        """Asks for new ones; how many seconds to wait until the next time. Raises Studio9Error."""
        asked = self._clock()
        lent = await self._orion.storage_keys()
        self._keys = Credentials(lent.access_key, lent.secret_key, lent.session_token)
        self._until = asked + lent.valid_s
        return lent.valid_s * RENEWED_AT

    async def run(self) -> None:
        """Renews them for ever."""
        while True:
            try:
                pause_s = await self.renew()
            except Studio9Error as error:
                logger("worker").warning("storage_keys_not_renewed", reason=error.message)
                pause_s = AGAIN_S
            await asyncio.sleep(pause_s)
