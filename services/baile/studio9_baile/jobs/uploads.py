"""Single pictures that come into albums are told together: an event each would make the uploads of an organisation wait
for each other. What is to be told is committed with the picture, so that a killed instance leaves it to the others, or
to its own next start."""

import asyncio
from contextlib import suppress

from studio9_baile.database import Database

GATHER_S = 0.3
"""How long pictures are gathered before they are told."""


class Uploads:
    """Tells of the albums that pictures have come into."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._telling = asyncio.Lock()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Nothing gathers from now on: what waits is told by the next `tell`."""
        self._stopping.set()

    async def step(self) -> bool:
        """Tells what has gathered. Raises DatabaseUnavailable; it is told later then."""
        if await self._untold():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), GATHER_S)
            await self.tell()
        return False

    async def tell(self) -> None:
        """Tells what waits, at once; what somebody else in this process is telling has been told at the end, too.
        Raises DatabaseUnavailable."""
        async with self._telling:
            for organisation in await self._untold():
                more = True
                while more:
                    async with self._database.write(organisation) as work:
                        albums, more = await work.untold_uploads.take()
                        for album in sorted(albums):
                            work.emit("asset.changed", {"kind": "ALBUM", "id": album, "change": "uploaded"})

    async def _untold(self) -> list[str]:
        async with self._database.system(writing=False) as work:
            return await work.with_untold_uploads()
