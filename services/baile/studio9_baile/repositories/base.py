"""What every repository can do. It cannot be made without an organisation, and every statement begins with it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    UnaryExpression,
    Update,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from studio9_baile.models.base import Asset, Scoped
from studio9_baile.repositories.aiming import Sight
from studio9_baile.repositories.paging import Page, like
from studio9_common.errors import NotFound
from studio9_common.ids import new_id

CHUNK = 500
"""Ids of one IN list; databases limit the number of parameters."""
ROWS_AT_ONCE = 100
"""Rows that are made into objects between two turns of the event loop."""


Row = TypeVar("Row", bound=Scoped)
Named = TypeVar("Named", bound=Asset)


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a list that is newest first: at most `limit` rows that are older than the row `before`."""

    before: str | None = None
    limit: int = 50


async def for_cursors(session: AsyncSession) -> AsyncSession:
    """A session whose rows can be streamed: where its statements are transactions of their own, one begins with the
    next, for cursors live in a transaction."""
    connection = (await session.connection()).sync_connection
    assert connection is not None
    own = connection.connection.dbapi_connection
    alone = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    if alone and own is not None and connection.dialect.detect_autocommit_setting(own):
        # The pool sets it back when the connection returns.
        connection.dialect.set_isolation_level(own, "READ COMMITTED")
    return session


class Repository(Generic[Row]):
    """The rows of one table that belong to one organisation."""

    row: ClassVar[type[Any]]
    missing: ClassVar[str] = "There is no such thing"

    def __init__(self, session: AsyncSession, organisation: str, now: datetime, sight: Sight | None = None) -> None:
        self._session, self.organisation, self._now = session, organisation, now
        self._sight = sight or Sight(None)

    @classmethod
    def rows_of(cls, organisation: Any) -> ColumnElement[bool]:
        """The condition that every statement carries, for an organisation or a parameter that will name one."""
        condition: ColumnElement[bool] = cls.row.organisation == organisation
        return condition

    @property
    def mine(self) -> ColumnElement[bool]:
        return self.rows_of(self.organisation)

    def select(self, *where: ColumnElement[bool]) -> Select[Row]:
        return select(self.row).where(self.mine, *where)

    @classmethod
    @cache
    def _by_id(cls, lock: bool) -> Select[Any]:
        """Made once for each table: most of what a short statement costs here is making it."""
        mine = cls.rows_of(bindparam("organisation"))
        statement = select(cls.row).where(mine, cls.row.id == bindparam("identifier"))
        # Whoever waits for a row wants it as it is then, not as it was when it was read before.
        return statement.with_for_update().execution_options(populate_existing=True) if lock else statement

    def update(self, *where: ColumnElement[bool]) -> Update:
        return update(self.row).where(self.mine, *where).execution_options(synchronize_session=False)

    def delete_where(self, *where: ColumnElement[bool]) -> Delete:
        return delete(self.row).where(self.mine, *where).execution_options(synchronize_session=False)

    def make(self, **values: Any) -> Row:
        """Adds a row of this organisation, made (and changed) now, with an id of its own unless `values` have one.
        Raises TypeError for a column that the table does not have."""
        common = {"id": new_id(), "organisation": self.organisation, "created_at": self._now}
        if hasattr(self.row, "updated_at"):
            common["updated_at"] = self._now
        row: Row = self.row(**common | values)
        self._session.add(row)
        return row

    def add(self, row: Row) -> Row:
        """Adds a row of this organisation. Raises ValueError for another's."""
        if row.organisation != self.organisation:
            raise ValueError(f"a row of {row.organisation!r} cannot be added for {self.organisation!r}")
        self._session.add(row)
        return row

    def add_all(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.add(row)

    async def find(self, identifier: str, *, lock: bool = False) -> Row | None:
        if "\x00" in identifier:  # from a path; no id has one, and PostgreSQL refuses to compare with it
            return None
        statement = self._by_id(lock or self._sight.locks(identifier))
        wanted = {"organisation": self.organisation, "identifier": identifier}
        found: Row | None = await self._session.scalar(statement, wanted)
        if found is not None:
            self._sight.see(found)
        return found

    async def get(self, identifier: str, *, lock: bool = False) -> Row:
        """Raises NotFound, also for a row of another organisation. `lock` keeps it from others until the end."""
        found = await self.find(identifier, lock=lock)
        if found is None:
            raise NotFound(self.missing)
        return found

    async def many(self, identifiers: Collection[str]) -> dict[str, Row]:
        """Those that are there, by id."""
        wanted = list(dict.fromkeys(identifiers))
        found: dict[str, Row] = {}
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            rows = await self.rows(self.select(self.row.id.in_(chunk)), at_most=len(chunk))
            found.update({row.id: row for row in rows})
        return found

    async def all(self, *where: ColumnElement[bool]) -> list[Row]:
        return await self.rows(self.select(*where).order_by(self.row.id))

    async def rows(self, statement: Select[Row], *, at_most: int | None = None) -> list[Row]:
        """All rows of a statement, made into objects a few at a time. `at_most` is how many it can find, where that is
        known: few come at once, without a cursor."""
        if at_most is not None and at_most <= ROWS_AT_ONCE:
            return list(await self._session.scalars(statement))
        found: list[Row] = []
        session = await for_cursors(self._session)
        result = await session.stream_scalars(statement, execution_options={"yield_per": ROWS_AT_ONCE})
        async for part in result.partitions():
            found += part
        return found

    async def count(self, *where: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(self.row).where(self.mine, *where)
        return await self._session.scalar(statement) or 0

    async def exists(self, *where: ColumnElement[bool]) -> bool:
        return await self._session.scalar(select(self.row.id).where(self.mine, *where).limit(1)) is not None

    async def recent(self, wanted: Slice, *where: ColumnElement[bool]) -> list[Row]:
        """A part of the rows, newest first: ids grow with time."""
        statement = self.select(*where).order_by(self.row.id.desc()).limit(wanted.limit)
        if wanted.before is not None:
            statement = statement.where(self.row.id < wanted.before)
        return await self.rows(statement, at_most=wanted.limit)

    async def remove(self, row: Row) -> None:
        await self._session.delete(row)

    async def page_of(
        self, statement: Select[Row], order: Sequence[UnaryExpression[Any]], page: Page
    ) -> tuple[list[Row], int]:
        """One page, and how many rows there are in all."""
        total = await self._session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
        statement = statement.order_by(*order, self.row.id).offset(page.offset).limit(page.size)
        rows = await self.rows(statement, at_most=page.size)
        return rows, total or 0


class AssetRepository(Repository[Named]):
    """Assets: listed by owner, name and place in a project."""

    sortable: ClassVar[tuple[str, ...]] = ("name", "created", "updated")

    async def name_taken(self, owner: str, name: str, *, other_than: str | None = None) -> bool:
        """Whether the owner has an asset of this name in the library."""
        where = [self.row.owner == owner, self.row.name == name, *self.in_library]
        if other_than is not None:
            where.append(self.row.id != other_than)
        return await self.exists(*where)

    async def free_name(self, owner: str, wanted: str) -> str:
        """`wanted`, or with the first free number after a space."""
        taken = select(self.row.name).where(
            self.mine, self.row.owner == owner, self.row.name.startswith(wanted, autoescape=True)
        )
        names = set(await self._session.scalars(taken))
        if wanted not in names:
            return wanted
        number = 1
        while f"{wanted} {number}" in names:
            number += 1
        return f"{wanted} {number}"

    @property
    def in_library(self) -> list[ColumnElement[bool]]:
        """The condition for what lists show."""
        return [self.row.in_library] if hasattr(self.row, "in_library") else []

    async def list(
        self,
        *,
        page: Page,
        owners: Collection[str] | None = None,
        only: Select[str] | None = None,
        shared: Select[str] | None = None,
    ) -> tuple[list[Named], int]:
        """A page of the library. `owners` None: everybody's; `only`: ids that a project holds; `shared`: ids that are
        shown besides, whoever owns them."""
        statement = self.select(*self.in_library)
        if owners is not None:
            theirs = self.row.owner.in_(owners)
            statement = statement.where(theirs if shared is None else theirs | self.row.id.in_(shared))
        if only is not None:
            statement = statement.where(self.row.id.in_(only))
        if page.search:
            statement = statement.where(like(self.row.name, page.search))
        return await self.page_of(statement, page.sorted(self._columns()), page)

    def _columns(self) -> dict[str, InstrumentedAttribute[Any]]:
        names = {"created": "created_at", "updated": "updated_at"}
        return {name: getattr(self.row, names.get(name, name)) for name in self.sortable}
