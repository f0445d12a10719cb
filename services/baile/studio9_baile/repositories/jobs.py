"""Processes, the outbox, what Argo must be told, server-sent events."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from studio9_baile.models.identity import Organisation
from studio9_baile.models.jobs import (
    TILING,
    ConfigWrite,
    Event,
    OutboxMessage,
    Process,
    ProcessStatus,
    ResultState,
    UntoldUpload,
)
from studio9_baile.repositories.base import CHUNK, Repository
from studio9_baile.repositories.paging import Page

LIVE = (ProcessStatus.QUEUED, ProcessStatus.RUNNING)


class Processes(Repository[Process]):
    """Processes."""

    row = Process
    missing = "Process was not found"

    async def newest(self, target: str, target_id: str) -> Process | None:
        """The newest process of an asset."""
        statement = self.select(Process.target == target, Process.target_id == target_id)
        return await self._session.scalar(statement.order_by(Process.created_at.desc(), Process.id.desc()).limit(1))

    async def live(self, target: str, target_id: str) -> list[Process]:
        """The processes of an asset that have not ended."""
        return await self.all(Process.target == target, Process.target_id == target_id, Process.status.in_(LIVE))

    async def going_on(self, job_type: str) -> list[Process]:
        """The processes of a kind whose results are not in yet, or may still come."""
        return await self.all(Process.job_type == job_type, self._going_on)

    @property
    def _going_on(self) -> ColumnElement[bool]:
        return or_(Process.status.in_(LIVE), Process.result_state == ResultState.pending)

    async def needing(self, version: str) -> list[Process]:
        """The processes that work on a dataset version, or begin what will, and are not over."""
        named = or_(
            Process.context["dataset_version"].as_string() == version,
            Process.context[("then", "dataset_version")].as_string() == version,
        )
        return await self.all(self._going_on, named)

    async def hand_over(self, user: str, heir: str | None) -> None:
        """A user's processes go to another; without one they are forgotten."""
        statement = (
            self.delete_where(Process.owner == user)
            if heir is None
            else self.update(Process.owner == user).values(owner=heir)
        )
        await self._session.execute(statement)

    async def page(
        self,
        owner: str,
        page: Page,
        *,
        job_types: Collection[str] = (),
        started: tuple[datetime, datetime] | None = None,
        completed: tuple[datetime, datetime] | None = None,
    ) -> tuple[list[Process], int]:
        statement = self.select(Process.owner == owner, Process.listed.is_(True), Process.job_type != TILING)
        if job_types:
            statement = statement.where(Process.job_type.in_(job_types))
        if started is not None:
            statement = statement.where(Process.started_at.between(*started))
        if completed is not None:
            statement = statement.where(Process.ended_at.between(*completed))
        columns = {"created": Process.created_at, "started": Process.started_at, "completed": Process.ended_at}
        return await self.page_of(statement, page.sorted(columns), page)


class Outbox(Repository[OutboxMessage]):
    """Messages that wait to be published."""

    row = OutboxMessage

    async def settle(self, job: str, now: datetime, *types: str) -> None:
        """The messages of these types about a job have done their work."""
        await self._session.execute(
            self.update(
                OutboxMessage.job == job, OutboxMessage.type.in_(types), OutboxMessage.settled_at.is_(None)
            ).values(settled_at=now)
        )


class ConfigWrites(Repository[ConfigWrite]):
    """What Argo must be told."""

    row = ConfigWrite


class Events(Repository[Event]):  # type: ignore[type-var]  # its key is (organisation, number)
    """Server-sent events."""

    row = Event

    async def after(self, number: int, user: str, limit: int = 500) -> list[Event]:
        """The next events that a user may see."""
        statement = (
            select(Event)
            .where(
                Event.organisation == self.organisation,
                Event.number > number,
                Event.user.is_(None) | (Event.user == user),
            )
            .order_by(Event.number)
            .limit(limit)
        )
        return list(await self._session.scalars(statement))

    async def next_number(self) -> int:
        """The number of the organisation's next event; all below it are committed."""
        statement = select(Organisation.next_event).where(Organisation.id == self.organisation)
        return await self._session.scalar(statement) or 1

    async def first_number(self) -> int | None:
        """The number of the oldest event that is kept."""
        return await self._session.scalar(select(func.min(Event.number)).where(self.mine))


class UntoldUploads(Repository[UntoldUpload]):
    """Pictures that have come into albums, until it is told."""

    row = UntoldUpload

    async def take(self) -> tuple[set[str], bool]:
        """The albums of up to CHUNK of them, which are told in this transaction, and whether there may be more. What
        another instance is telling is left to it."""
        statement = (
            select(UntoldUpload.id, UntoldUpload.album)
            .where(self.mine)
            .order_by(UntoldUpload.id)
            .limit(CHUNK)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._session.execute(statement)).all()
        await self._session.execute(self.delete_where(UntoldUpload.id.in_([row.id for row in rows])))
        return {row.album for row in rows}, len(rows) == CHUNK
