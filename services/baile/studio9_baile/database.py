"""The database: PostgreSQL through asyncpg or one SQLite file through aiosqlite, and its transactions.

SQLite has one writer: writing transactions of this process queue for it here, and take its lock at once, so that none
fails half-way because another one came between.
"""

import asyncio
import copy
import select
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import QueuePool

from studio9_baile.bell import Bell
from studio9_baile.migrations import upgrade
from studio9_baile.models.base import json_text
from studio9_baile.repositories.aiming import Target
from studio9_baile.repositories.system import SystemWork
from studio9_baile.repositories.work import Work
from studio9_common.errors import BadInput, Conflict, StorageFull, Unavailable, no_room
from studio9_common.logs import logger
from studio9_common.times import Clock, SystemClock

CLOSE_LIMIT_S = 20.0
"""How long a transaction may go on after a stop."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached; the request changed nothing, try again shortly."""


class DatabaseFull(DatabaseUnavailable, StorageFull):
    """The database has no room left on its disk, so the request changed nothing; tell whoever runs it, and send the
    request again once there is room."""

    status = StorageFull.status
    code = StorageFull.code


class DatabaseReadOnly(DatabaseUnavailable):
    """The database takes no changes at the moment, so the request changed nothing; tell whoever runs it, and send the
    request again once it does."""

    code = "database_read_only"


class DatabaseRefuses(DatabaseUnavailable):
    """The database does not let Baile in any more, so the request changed nothing; tell whoever runs it to compare
    user, password and database with those in Baile's database_url."""

    code = "database_refuses"


class Collision(Conflict):
    """Somebody else did the same at the same moment; read again and repeat."""


_PLANNING = {"application_name": "studio9-baile", "random_page_cost": "1.1", "jit": "off"}
"""Our queries are short and go by indexes: on a disk without heads, and no code is made for them first."""
ASKED_AFTER_S = 5.0
"""A connection that has rested for so long is asked whether it is there still; one that the server has ended is known
without."""
YOUNG_S = 1.0
"""A connection that was made so lately is used, whatever was found out in between."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OPTIONS = frozenset({"ssl", "host", "port", "passfile", "target_session_attrs", "prepared_statement_cache_size"})
"""Options of an address of PostgreSQL's, besides `sslmode`."""
_DISK_FULL = "53100"
_READ_ONLY = "25006"
_NO_DATABASE = "3D000"
_AWAY = ("08", "40001", "40P01", "53", "57P0", "58")
"""PostgreSQL's codes (https://www.postgresql.org/docs/current/errcodes-appendix.html): no connection; undone
because of another transaction, as in a deadlock; no resources; starting or stopping; trouble with the machine."""
_WRITE = "write postgresql://user:password@host/database, its signs in % form, or sqlite:///file"
_HELP = {
    "28P01": "correct user and password in it, or give the role this password: ALTER ROLE ... PASSWORD",
    "28000": "name a role in it that may log in from here: ALTER ROLE ... LOGIN, and a line in pg_hba.conf",
    "3D000": "make the database: CREATE DATABASE, or name another one in it",
    "42501": "let the role of it connect there and make tables: GRANT CONNECT, and CREATE on the schema public",
}
"""What helps where PostgreSQL does not let Baile in, by its code."""
_DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def engine_for(url: str, pool: int = 10) -> AsyncEngine:
    """An engine; the address has no driver in it. Raises BadInput for another database."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # whose texts may hold the password
        raise BadInput("this is no address of a database", field="database_url", fix=_WRITE) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise BadInput(
            "the database is neither PostgreSQL nor SQLite",
            field="database_url",
            value=parsed.drivername,
            fix=_WRITE,
        )
    if driver.startswith("postgresql"):
        engine = create_async_engine(
            _with_options(parsed).set(drivername=driver),
            pool_size=pool,
            max_overflow=pool,
            json_serializer=json_text,
            connect_args={"server_settings": _PLANNING},
        )
        event.listen(engine.sync_engine, "checkin", _note_rest)
        event.listen(engine.sync_engine, "checkout", _check_there)
        return engine
    Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        parsed.set(drivername=driver), pool_size=pool, max_overflow=pool, json_serializer=json_text
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _with_options(address: URL) -> URL:
    """The address with its options as the driver calls them. Raises BadInput for one that it does not have."""
    options = dict(address.query)
    if "sslmode" in options:  # libpq's name for it, which stands in the addresses that clouds give
        options["ssl"] = options.pop("sslmode")
    unknown = ", ".join(sorted(options.keys() - OPTIONS))
    if unknown:
        raise BadInput(
            "the database's address has an option that there is not",
            field="database_url",
            value=unknown,
            fix=f"leave it out; there are sslmode, {', '.join(sorted(OPTIONS))}",
        )
    if (mode := options.get("ssl", "prefer")) not in SSL_MODES:
        raise BadInput(
            "there is no such sslmode", field="database_url", value=mode, fix=f"one of {', '.join(SSL_MODES)}"
        )
    return address.set(query=options)


def _note_rest(_: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _check_there(connection: Any, record: Any, _: Any) -> None:
    """In the place of SQLAlchemy's own ping, which takes three round trips each time."""
    driver, since = connection.driver_connection, record.info.get("rests_since")
    if driver.is_closed():
        raise InvalidatePoolError
    if since is not None and (time.monotonic() - since > ASKED_AFTER_S or _can_be_read(driver)):
        try:
            connection.ping()
        except Exception as error:  # whatever it is, this connection is not to be used
            raise InvalidatePoolError from error


def _can_be_read(driver: Any) -> bool:
    """Whether there is something on a connection that nobody waits for: as a rule that the server has ended it."""
    if not hasattr(select, "poll"):  # on Windows
        return False
    looking = select.poll()
    looking.register(driver._transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(looking.poll(0))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    writing = connection.get_execution_options().get("studio9_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _failure(error: DBAPIError | OSError) -> DatabaseUnavailable | None:
    """What it means that the database has failed; None for a statement that is wrong."""
    if _is_full(error):
        return DatabaseFull()
    if not isinstance(error, DBAPIError) or isinstance(error, OperationalError | InterfaceError):
        return DatabaseUnavailable()
    state = _state(error)
    if state == _READ_ONLY:
        return DatabaseReadOnly()
    if state.startswith("28") or state == _NO_DATABASE:
        return DatabaseRefuses()
    return DatabaseUnavailable() if error.connection_invalidated or state.startswith(_AWAY) else None


def _state(error: BaseException | None) -> str:
    """PostgreSQL's code."""
    return getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""


def _is_full(error: DBAPIError | OSError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause is not None and (no_room(cause) or getattr(cause, "sqlstate", None) == _DISK_FULL)


@dataclass(slots=True)
class _Use:
    """What all who use the connections know together."""

    open: int = 0
    closed: bool = False
    outdated: float = 0.0
    """Connections that were made before this moment (`time.time()`) are replaced as they are next used."""

    def renew(self, _: Any, record: Any, __: Any) -> None:
        """Of a pool that hands out a connection. It tries twice, so one that was made for this is never refused, even
        if others have found the database read-only in between."""
        if record.starttime < min(self.outdated, time.time() - YOUNG_S):
            raise InvalidatePoolError


class Database:
    """Opens transactions. Objects read in one may be used after it (they are not refreshed)."""

    def __init__(self, url: str, *, bell: Bell | None = None, clock: Clock | None = None, pool: int = 10) -> None:
        self.bell = bell or Bell()
        self._clock = clock or SystemClock()
        self._engine = engine_for(url, pool)
        self._writing = self._engine.execution_options(studio9_write=True)
        self._use = _Use()
        self._turn = asyncio.Lock() if self._engine.dialect.name == "sqlite" else None
        # PostgreSQL's statements see each what is committed when it begins, within a transaction or not.
        self._reading = self._engine if self.alone else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._target: Target | None = None
        # Before the look whether it is there still: what replaces it passes both.
        event.listen(self._engine.sync_engine, "checkout", self._use.renew, insert=True)

    def aimed(self, target: Target) -> "Database":
        """The same database for one request, which aims at `target`."""
        for_one = copy.copy(self)
        for_one._target = target
        return for_one

    @property
    def alone(self) -> bool:
        """Whether no other process can work on this database."""
        return self._turn is not None

    @property
    def joins(self) -> bool:
        """Whether what the request writes may be written in one transaction with what others write."""
        return self._target is None or self._target.known is None

    async def migrate(self) -> None:
        """Brings the tables to this version's schema; several instances may try at once. Raises BadInput where the
        database does not let us in or make tables, DatabaseUnavailable."""
        try:
            async with self._guarded(), self._writing.begin() as connection:
                await connection.run_sync(upgrade)
        except (DatabaseRefuses, DBAPIError) as error:
            refused = error.__cause__ if isinstance(error, DatabaseRefuses) else error
            if not isinstance(refused, DBAPIError) or _state(refused) not in _HELP:
                raise
            raise BadInput(
                f"PostgreSQL does not let Baile in: {getattr(refused.orig, '__cause__', None) or refused.orig}",
                field="database_url",
                value=self._engine.url.set(drivername="postgresql", query={}).render_as_string(),
                fix=_HELP[_state(refused)],
            ) from None

    @asynccontextmanager
    async def read(self, organisation: str) -> AsyncIterator[Work]:
        """Reads for one organisation; nothing is written. On PostgreSQL each statement is a transaction of its own,
        which saves it two round trips, unless rows are streamed. Raises DatabaseUnavailable."""
        async with self._transaction(writing=False) as session:
            yield Work(session, organisation, self._clock.now(), self._target)

    @asynccontextmanager
    async def write(self, organisation: str, *, aside: bool = False) -> AsyncIterator[Work]:
        """A transaction for one organisation, committed at the end of the block, or undone by an exception. Raises
        Collision where a unique row was made twice or a row has changed since it was read, ChangedMeanwhile where the
        request's caller knows another revision, DatabaseUnavailable. It must not be begun within another.

        `aside`: it writes nothing that the request was sent for, and may be kept whatever becomes of the request. Every
        other one has to see what the request aims at: if it did not, it could only be judged after its commit."""
        async with self._transaction() as session:
            work = Work(session, organisation, self._clock.now(), None if aside else self._target)
            yield work
            await work.finish()
            await session.commit()
        self.bell.ring(*work.rings)

    @asynccontextmanager
    async def system(self, *, writing: bool = True) -> AsyncIterator[SystemWork]:
        """A transaction over all organisations, for sign-in and the platform's own background work only. It must not
        be begun within another."""
        async with self._transaction(writing) as session:
            work = SystemWork(session, self._clock.now())
            yield work
            if writing:
                await session.commit()
        self.bell.ring(*work.rings)

    @asynccontextmanager
    async def _transaction(self, writing: bool = True) -> AsyncIterator[AsyncSession]:
        engine = self._writing if writing else self._reading
        async with AsyncExitStack() as stack:
            if writing and self._turn is not None:
                await stack.enter_async_context(self._turn)
            await stack.enter_async_context(self._guarded())
            session = AsyncSession(engine, expire_on_commit=False, autoflush=writing)
            yield await stack.enter_async_context(session)

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        if self._use.closed:
            raise DatabaseUnavailable
        self._use.open += 1
        try:
            yield
        except (IntegrityError, StaleDataError) as error:
            raise Collision from error
        except (DBAPIError, OSError) as error:
            failure = _failure(error)
            if failure is None:
                raise
            if isinstance(failure, DatabaseReadOnly):
                # The server that takes changes may be another one by now, or this one again for new connections.
                self._use.outdated = time.time()
            raise failure from error
        finally:
            self._use.open -= 1

    async def ping(self) -> None:
        """Raises DatabaseUnavailable if the database does not answer."""
        async with self._guarded(), self._engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Waits for open transactions, at most CLOSE_LIMIT_S, and closes all connections; no transaction can be begun
        any more: a connection that is made or comes back later would be closed by nobody. The session of a task that
        was cancelled is closed by a task of its own, hence the look at the pool."""
        self._use.closed = True
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                while self._use.open or pool.checkedout():  # noqa: ASYNC110 - a pool tells nobody when it changes
                    await asyncio.sleep(0.005)
        except TimeoutError:
            logger("baile").warning("transactions_cut_off", open=self._use.open, connections=pool.checkedout())
        await self._engine.dispose()
