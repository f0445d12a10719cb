"""How many pictures and shapes albums have, without counting them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from studio9_baile.models.pictures import Tally
from studio9_baile.repositories.base import Repository


@dataclass(frozen=True, slots=True)
class Usage:
    """How many pictures there are, and bytes of pictures, files and tiles."""

    pictures: int
    bytes: int


class Tallies(Repository[Tally]):
    """Sums of what triggers, and whoever makes tiles, have noted; exact, as they are part of the transactions that
    change the rows."""

    row = Tally

    async def pictures(self, album: str) -> int:
        """Pictures of an album."""
        return await self._sum(Tally.album == album, Tally.what == "picture")

    async def labelled(self, album: str, predicted: bool) -> int:
        """Pictures of an album with any given, or any predicted, label."""
        return await self._sum(Tally.album == album, Tally.what == "labelled", Tally.predicted.is_(predicted))

    async def with_label(self, album: str, predicted: bool, label: str) -> int:
        """Pictures of an album with a label."""
        return await self._sum(
            Tally.album == album, Tally.what == "label", Tally.predicted.is_(predicted), Tally.label == label
        )

    async def labels(self, album: str, origins: Collection[bool]) -> list[tuple[str, int]]:
        """Labels of an album and how often they occur, most frequent first."""
        total = func.sum(Tally.shapes)
        statement = (
            select(Tally.label, total)
            .where(self.mine, Tally.album == album, Tally.what == "label", Tally.predicted.in_(origins))
            .group_by(Tally.label)
            .having(total > 0)
            .order_by(total.desc(), Tally.label)
        )
        return [(label, int(number)) for label, number in await self._session.execute(statement)]

    async def of(self, album: str) -> Usage:
        """Pictures of an album, and their bytes."""
        statement = select(func.sum(Tally.pictures), func.sum(Tally.bytes)).where(
            self.mine, Tally.album == album, Tally.what == "picture"
        )
        pictures, size = (await self._session.execute(statement)).one()
        return Usage(int(pictures or 0), int(size or 0))

    async def usage(self) -> Usage:
        """What the organisation has of pictures, files and tiles."""
        statement = (
            select(Tally.what, func.sum(Tally.pictures), func.sum(Tally.bytes))
            .where(self.mine, Tally.what.in_(("picture", "file", "tile")))
            .group_by(Tally.what)
        )
        found = {what: (int(number), int(size)) for what, number, size in await self._session.execute(statement)}
        return Usage(found.get("picture", (0, 0))[0], sum(size for _, size in found.values()))

    def tiles(self, size: int) -> None:
        """So many bytes of tiles have come, or gone."""
        if size:
            self.make(album="", what="tile", predicted=False, label="", pictures=0, shapes=0, bytes=size)

    async def _sum(self, *where: ColumnElement[bool]) -> int:
        statement = select(func.sum(Tally.pictures)).where(self.mine, *where)
        return int(await self._session.scalar(statement) or 0)
