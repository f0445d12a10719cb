"""The few statements over all organisations: sign-in, whose organisation is not known yet, and background work."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from studio9_baile.models.identity import (
    AccessToken,
    BootstrapToken,
    Organisation,
    RefreshToken,
    SignIn,
    SignInFailures,
    User,
)
from studio9_baile.models.jobs import (
    LOCAL,
    MERGE,
    TRANSFERS,
    ConfigWrite,
    Event,
    OutboxMessage,
    Process,
    ResultState,
    UntoldUpload,
)
from studio9_baile.models.notices import Delivery
from studio9_baile.models.pictures import Tally
from studio9_baile.models.records import AuditEntry, BucketRow, IdempotencyKey, KnownCatalogue
from studio9_baile.models.runs import Deployment
from studio9_baile.repositories.jobs import LIVE
from studio9_common.contracts.messages import JobRequested
from studio9_common.ids import new_id

MOST_TALLIES = 8
"""Tallies of one kind that an album may have until they are made into one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A row of some organisation, to be worked on in a transaction of that one."""

    organisation: str
    id: str


class SystemWork:
    """A transaction over all organisations."""

    def __init__(self, session: AsyncSession, now: datetime) -> None:
        self._session, self.now = session, now
        self.rings: set[str] = set()

    # --- identity --------------------------------------------------------------------------------------------

    def add(
        self,
        row: Organisation
        | User
        | SignIn
        | RefreshToken
        | BootstrapToken
        | SignInFailures
        | KnownCatalogue
        | AuditEntry,
    ) -> None:
        self._session.add(row)

    async def flush(self) -> None:
        await self._session.flush()

    async def organisation(self, name: str) -> Organisation | None:
        return await self._session.scalar(select(Organisation).where(Organisation.name == name))

    async def user_named(self, name: str) -> User | None:
        """The user with this user name or e-mail, whatever the case."""
        lower = name.lower()
        return await self._session.scalar(select(User).where(or_(User.username == lower, User.email == lower)))

    async def refresh_token(self, token_hash: str) -> tuple[RefreshToken, SignIn] | None:
        """A refresh token and its sign-in, kept from others until the end."""
        statement = (
            select(RefreshToken, SignIn)
            .join(SignIn, SignIn.id == RefreshToken.sign_in)
            .where(RefreshToken.token_hash == token_hash)
        )
        row = (await self._session.execute(statement.with_for_update())).first()
        return None if row is None else (row[0], row[1])

    async def access_token(self, token_hash: str) -> tuple[AccessToken, User] | None:
        """A personal access token and its user."""
        statement = (
            select(AccessToken, User)
            .join(User, User.id == AccessToken.user)
            .where(AccessToken.token_hash == token_hash)
        )
        row = (await self._session.execute(statement)).first()
        return None if row is None else (row[0], row[1])

    async def failures(self, keys: Sequence[str]) -> dict[str, SignInFailures]:
        rows = await self._session.scalars(select(SignInFailures).where(SignInFailures.key.in_(keys)))
        return {row.key: row for row in rows}

    async def forget_failures(self, keys: Sequence[str]) -> None:
        await self._session.execute(delete(SignInFailures).where(SignInFailures.key.in_(keys)))

    async def bootstrap_token(self, token_hash: str) -> BootstrapToken | None:
        return await self._session.get(BootstrapToken, token_hash, with_for_update=True)

    # --- background work -------------------------------------------------------------------------------------

    async def due_messages(self, limit: int) -> list[OutboxMessage]:
        """Messages of the outbox whose time has come, oldest first."""
        statement = select(OutboxMessage).where(OutboxMessage.settled_at.is_(None), OutboxMessage.next_at <= self.now)
        return list(await self._session.scalars(statement.order_by(OutboxMessage.id).limit(limit)))

    async def unaccepted_requests(self) -> tuple[int, datetime | None]:
        """How many requests for jobs wait to be accepted, and since when the oldest does."""
        statement = select(func.count(), func.min(OutboxMessage.created_at)).where(
            OutboxMessage.settled_at.is_(None), OutboxMessage.type == JobRequested.type
        )
        count, since = (await self._session.execute(statement)).one()
        return count, since

    async def published(self, identifiers: Sequence[str], next_at: datetime, *, confirmed: bool) -> None:
        """These messages were sent, or were to be; they go out again at `next_at` unless they are settled before."""
        await self._session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id.in_(identifiers))
            .values(times=OutboxMessage.times + (1 if confirmed else 0), next_at=next_at)
            .execution_options(synchronize_session=False)
        )

    async def due_config(self, limit: int) -> list[ConfigWrite]:
        statement = select(ConfigWrite).where(ConfigWrite.settled_at.is_(None), ConfigWrite.next_at <= self.now)
        return list(await self._session.scalars(statement.order_by(ConfigWrite.id).limit(limit)))

    async def settle_config(self, row: ConfigWrite) -> None:
        """Argo has the value of this row; it and earlier ones for the key are settled. Later ones that another
        instance has written before are due again, as this one may just have overwritten them."""
        same = (
            ConfigWrite.organisation == row.organisation,
            ConfigWrite.service == row.service,
            ConfigWrite.key == row.key,
        )
        plain = {"synchronize_session": False}
        await self._session.execute(
            update(ConfigWrite)
            .where(*same, ConfigWrite.id <= row.id, ConfigWrite.settled_at.is_(None))
            .values(settled_at=self.now)
            .execution_options(**plain)
        )
        await self._session.execute(
            update(ConfigWrite)
            .where(*same, ConfigWrite.id > row.id)
            .values(settled_at=None, next_at=self.now)
            .execution_options(**plain)
        )

    async def postpone_config(self, identifier: str, next_at: datetime) -> None:
        """Argo has refused the value; it is offered again at `next_at`."""
        await self._session.execute(
            update(ConfigWrite)
            .where(ConfigWrite.id == identifier)
            .values(times=ConfigWrite.times + 1, next_at=next_at)
            .execution_options(synchronize_session=False)
        )

    async def with_deployments(self) -> list[str]:
        """The organisations that have deployments."""
        return list(await self._session.scalars(select(Deployment.organisation).distinct()))

    async def with_untold_uploads(self) -> list[str]:
        """The organisations with pictures of which no event has told yet."""
        return list(await self._session.scalars(select(UntoldUpload.organisation).distinct()))

    async def next_events(self, organisations: Collection[str]) -> dict[str, int]:
        """The numbers of these organisations' next server-sent events."""
        statement = select(Organisation.id, Organisation.next_event).where(Organisation.id.in_(organisations))
        return {row[0]: row[1] for row in await self._session.execute(statement)}

    async def claim_result(self, lease: timedelta, *, merges: bool = False) -> Scope | None:
        """A process whose result waits to be brought into the assets (or a merge that is not done), the oldest first;
        nobody else gets it until the lease has passed."""
        return await self._claim(lease, Process.kind == MERGE if merges else Process.kind.not_in(LOCAL))

    async def claim_transfer(self, lease: timedelta) -> Scope | None:
        """A transfer from or to a user's bucket that is not done, likewise."""
        return await self._claim(lease, Process.kind.in_(TRANSFERS))

    async def _claim(self, lease: timedelta, kinds: ColumnElement[bool]) -> Scope | None:
        waiting = (
            select(Process)
            .where(
                Process.result_state == ResultState.pending,
                kinds,
                or_(Process.fill_after.is_(None), Process.fill_after <= self.now),
            )
            .order_by(Process.ended_at, Process.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        process = await self._session.scalar(waiting)
        if process is None:
            return None
        process.fill_after = self.now + lease
        return Scope(process.organisation, process.id)

    async def claim_delivery(self, lease: timedelta) -> Scope | None:
        """A notification that is due to go out; nobody else gets it until the lease has passed."""
        due = (
            select(Delivery)
            .where(Delivery.settled_at.is_(None), Delivery.next_at <= self.now)
            .order_by(Delivery.next_at, Delivery.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        delivery = await self._session.scalar(due)
        if delivery is None:
            return None
        delivery.next_at = self.now + lease
        return Scope(delivery.organisation, delivery.id)

    async def release_results(self) -> None:
        """Forgets who worked on results: for a process that alone has the database, at its start."""
        await self._session.execute(
            update(Process)
            .where(Process.result_state == ResultState.pending)
            .values(fill_after=None)
            .execution_options(synchronize_session=False)
        )

    async def live_processes(self, after: str, limit: int) -> list[Scope]:
        """Processes whose jobs have not ended as far as is known, by id."""
        statement = (
            select(Process.organisation, Process.id)
            .where(Process.status.in_(LIVE), Process.result_state == ResultState.none, Process.id > after)
            .order_by(Process.id)
            .limit(limit)
        )
        return [Scope(*row) for row in await self._session.execute(statement)]

    async def gather_tallies(self, limit: int) -> bool:
        """Makes the tallies of up to `limit` albums with many of them into one of each kind; whether there may be more
        albums. What is added meanwhile stays as it is."""
        keys = (Tally.organisation, Tally.album, Tally.what, Tally.predicted, Tally.label)
        nothing = and_(*(func.sum(one) == 0 for one in (Tally.pictures, Tally.shapes, Tally.bytes)))
        many = (
            select(Tally.organisation, Tally.album)
            .group_by(*keys)
            .having(or_(func.count() > MOST_TALLIES, nothing))
            .distinct()
            .limit(limit)
        )
        albums = (await self._session.execute(many)).all()
        for organisation, album in albums:
            gone = await self._session.execute(
                delete(Tally)
                .where(Tally.organisation == organisation, Tally.album == album)
                .returning(Tally.what, Tally.predicted, Tally.label, Tally.pictures, Tally.shapes, Tally.bytes)
                .execution_options(synchronize_session=False)
            )
            sums: dict[tuple[str, bool, str], list[int]] = {}
            for what, predicted, label, *numbers in gone:
                known = sums.get((what, predicted, label), [0, 0, 0])
                sums[what, predicted, label] = [one + more for one, more in zip(known, numbers, strict=True)]
            for (what, predicted, label), (pictures, shapes, size) in sums.items():
                if pictures or shapes or size:
                    self._session.add(
                        Tally(
                            id=new_id(),
                            organisation=organisation,
                            created_at=self.now,
                            album=album,
                            what=what,
                            predicted=predicted,
                            label=label,
                            pictures=pictures,
                            shapes=shapes,
                            bytes=size,
                        )
                    )
        return len(albums) == limit

    async def forget(self, *, events_before: datetime, settled_before: datetime) -> None:
        """Removes what is no longer needed: old events, settled messages, sign-ins that have expired."""
        await self._session.execute(delete(Event).where(Event.created_at < events_before))
        await self._session.execute(delete(OutboxMessage).where(OutboxMessage.settled_at < settled_before))
        await self._session.execute(delete(ConfigWrite).where(ConfigWrite.settled_at < settled_before))
        await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < settled_before))
        await self._session.execute(delete(SignIn).where(SignIn.expires_at < settled_before))
        await self._session.execute(delete(SignInFailures).where(SignInFailures.last_at < settled_before))

    # --- installation ----------------------------------------------------------------------------------------

    async def buckets(self) -> list[BucketRow]:
        return list(await self._session.scalars(select(BucketRow).order_by(BucketRow.name, BucketRow.id)))

    async def put_bucket(self, bucket: BucketRow) -> None:
        await self._session.merge(bucket)

    async def catalogue(self) -> KnownCatalogue | None:
        return await self._session.scalar(select(KnownCatalogue).limit(1))

    async def put_catalogue(self, catalogue: KnownCatalogue) -> None:
        await self._session.merge(catalogue)

    async def organisation_ids(self) -> list[str]:
        return list(await self._session.scalars(select(Organisation.id).order_by(Organisation.id)))

    async def organisations(self) -> int:
        return await self._session.scalar(select(func.count()).select_from(Organisation)) or 0
