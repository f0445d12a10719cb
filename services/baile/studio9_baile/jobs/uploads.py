"""Single pictures that come into albums are told together: an event each would make the uploads of an organisation wait
for each other."""

import asyncio

from studio9_baile.bell import UPLOADS, Bell
from studio9_baile.database import Database

GATHER_S = 0.3
"""How long pictures are gathered before they are told."""


class Uploads:
    """The albums that pictures have come into, until it is told. What an instance has not told when it is killed is
    told with the next picture of the album."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database, self._bell = database, bell
        self._waiting: dict[str, set[str]] = {}
        self._telling = asyncio.Lock()

    def note(self, organisation: str, album: str) -> None:
        """A picture has come into an album, and is committed."""
        self._waiting.setdefault(organisation, set()).add(album)
        self._bell.ring(UPLOADS)

    async def step(self) -> bool:
        """Tells what has gathered. Raises DatabaseUnavailable; it is told later then."""
        if self._waiting:
            await asyncio.sleep(GATHER_S)
            await self.tell()
        return False

    async def tell(self) -> None:
        """Tells what waits, at once; what somebody else is telling has been told at the end, too. Raises
        DatabaseUnavailable."""
        async with self._telling:
            while self._waiting:
                organisation, albums = self._waiting.popitem()
                try:
                    async with self._database.write(organisation) as work:
                        for album in sorted(albums):
                            work.emit("asset.changed", {"kind": "ALBUM", "id": album, "change": "uploaded"})
                except BaseException:
                    self._waiting.setdefault(organisation, set()).update(albums)
                    raise
