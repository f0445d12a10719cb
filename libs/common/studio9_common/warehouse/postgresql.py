"""Prediction tables in PostgreSQL: rows come by COPY FROM STDIN, in the transaction that writes the ledger's line.

Each organisation has a schema with its view and a role of the same name (`org_…`) that may read that view and
nothing else; queries run in a read-only transaction in that role. An administrator can grant the role to an analyst's
own login.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from studio9_common.contracts.predictions import Column, ColumnType
from studio9_common.objects.port import Objects
from studio9_common.times import format_time
from studio9_common.warehouse import parts
from studio9_common.warehouse.guard import guarded
from studio9_common.warehouse.ledger import repeated
from studio9_common.warehouse.port import Load, Loaded, QueryFailed, Rows, WarehouseUnavailable
from studio9_common.warehouse.schema import (
    LEDGER,
    LEDGER_COLUMNS,
    NAMES,
    SCHEMA,
    TABLE,
    VIEW,
    definitions,
    listed,
    organisation_schema,
    view,
)
from studio9_common.warehouse.values import rows_of

TYPES = {
    ColumnType.text: "text",
    ColumnType.long: "bigint",
    ColumnType.double: "double precision",
    ColumnType.json: "jsonb",
    ColumnType.time: "timestamptz",
}
CONNECT_TIMEOUT_S = 10
LOAD_TIMEOUT_S = 600

_TABLE = f"{SCHEMA}.{TABLE}"
_LEDGER = f"{SCHEMA}.{LEDGER}"
_LOCK = zlib.crc32(b"studio9 warehouse")
# Where it does not let us in.
_REFUSED = ("28", "3D")
# Of what a statement is to blame for: data, syntax, names, limits, a cancelled query, rights.
_STATEMENT = ("22", "42", "54", "57014", "25006", "0A")


class PostgreSqlWarehouse:
    """Warehouse (the port) in the database at `url`. `timeout_s` limits a query."""

    def __init__(self, url: str, objects: Objects, *, timeout_s: float = 30.0, connections: int = 4) -> None:
        self._url = url
        self._objects = objects
        self._timeout_s = timeout_s
        self._connections = connections
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._organisations: set[str] = set()

    async def prepare(self) -> None:
        async with self._connection() as db, db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await db.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} ({definitions(_type)})")
            for name in NAMES:
                column = definitions(_type, [name], strict=False)
                await db.execute(f"ALTER TABLE {_TABLE} ADD COLUMN IF NOT EXISTS {column}")
            await db.execute(
                f"CREATE UNIQUE INDEX IF NOT EXISTS {TABLE}_prediction ON {_TABLE} (organisation, prediction_id)"
            )
            await db.execute(f"CREATE INDEX IF NOT EXISTS {TABLE}_predicted ON {_TABLE} (organisation, predicted_at)")
            await db.execute(
                f"CREATE TABLE IF NOT EXISTS {_LEDGER} (organisation text, job text, output text,"
                " manifest_sha256 text NOT NULL, loaded_rows bigint NOT NULL, loaded_at text NOT NULL,"
                " PRIMARY KEY (organisation, job, output))"
            )
        self._organisations.clear()

    async def load(self, load: Load) -> Loaded:
        if found := await self._seen(load):
            return found
        async with parts.fetched(self._objects, load) as local, self._connection() as db:
            try:
                async with db.transaction():
                    return await self._load(db, load, local)
            except asyncpg.UniqueViolationError as error:
                if error.table_name != LEDGER:
                    raise parts.failed(load, f"{error}; {error.detail or ''}") from None
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                raise parts.failed(load, f"{error}; {error.context or ''}") from None
        # Another loader was first, and has committed.
        if found := await self._seen(load):
            return found
        raise WarehouseUnavailable(f"the ledger's line of job {load.job} has vanished; the load is repeated")

    async def _load(self, db: asyncpg.Connection, load: Load, local: list[parts.LocalPart]) -> Loaded:
        now = format_time(datetime.now(UTC))
        key = (load.organisation, load.job, load.output)
        # First: a second loader of the same output waits here until the first has committed, then fails.
        await db.execute(
            f"INSERT INTO {_LEDGER} ({listed(LEDGER_COLUMNS)}) VALUES ($1, $2, $3, $4, 0, $5)",
            *key,
            load.manifest_sha256,
            now,
        )
        await db.execute(f"CREATE TEMP TABLE staging ({definitions(_type)}) ON COMMIT DROP")
        for part in local:
            await db.copy_to_table(
                "staging",
                source=parts.unpacked(part),
                columns=list(part.columns),
                schema_name="pg_temp",
                format="csv",
                header=True,
                timeout=LOAD_TIMEOUT_S,
            )
        found = await db.fetchrow(
            "SELECT count(*), count(*) FILTER (WHERE organisation <> $1 OR job <> $2) FROM pg_temp.staging",
            load.organisation,
            load.job,
        )
        parts.check_staged(load, *found)
        status = await db.execute(
            f"INSERT INTO {_TABLE} ({listed(NAMES)})"
            f" SELECT {listed(NAMES)} FROM pg_temp.staging ORDER BY prediction_id, box_index"
            " ON CONFLICT (organisation, prediction_id) DO NOTHING",
            timeout=LOAD_TIMEOUT_S,
        )
        added = int(status.split()[-1])
        await db.execute(
            f"UPDATE {_LEDGER} SET loaded_rows = $4 WHERE organisation = $1 AND job = $2 AND output = $3", *key, added
        )
        return Loaded(added, now, repeated=False)

    async def ledger(self, organisation: str, job: str, output: str) -> Loaded | None:
        return await self._ledger(organisation, job, output, None)

    async def _seen(self, load: Load) -> Loaded | None:
        return await self._ledger(load.organisation, load.job, load.output, load.manifest_sha256)

    async def _ledger(self, organisation: str, job: str, output: str, manifest: str | None) -> Loaded | None:
        async with self._connection() as db:
            row = await db.fetchrow(
                f"SELECT manifest_sha256, loaded_rows, loaded_at FROM {_LEDGER}"
                " WHERE organisation = $1 AND job = $2 AND output = $3",
                organisation,
                job,
                output,
            )
        return repeated(row, manifest, job, output)

    async def query(
        self, organisation: str, sql: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 10_000
    ) -> Rows:
        schema = organisation_schema(organisation)
        checked = await asyncio.to_thread(
            guarded, sql, parameters, view=f"{schema}.{VIEW}", limit=limit + 1, read="postgres", write="postgres"
        )
        async with self._connection() as db:
            await self._ensure_view(db, organisation, schema)
            async with db.transaction(readonly=True):
                await db.execute(f"SET LOCAL statement_timeout = {round(self._timeout_s * 1000)}")
                await db.execute(f"SET LOCAL ROLE {schema}")
                try:
                    statement = await db.prepare(checked)
                    columns = [attribute.name for attribute in statement.get_attributes()]
                    cursor = await statement.cursor()
                    return rows_of(columns, await cursor.fetch(limit + 1), limit)
                except asyncpg.QueryCanceledError:
                    raise QueryFailed(f"the statement took longer than {self._timeout_s:g} s", field="sql") from None
                except asyncpg.PostgresError as error:
                    if (error.sqlstate or "").startswith(_STATEMENT):
                        raise QueryFailed(str(error)[:500], field="sql") from None
                    raise

    async def _ensure_view(self, db: asyncpg.Connection, organisation: str, schema: str) -> None:
        if organisation in self._organisations:
            return
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if not await db.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", schema):
                await db.execute(f"CREATE ROLE {schema} NOLOGIN")
            await db.execute(f"GRANT {schema} TO CURRENT_USER")
            await db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await db.execute(view(organisation, f"{schema}.{VIEW}"))
            await db.execute(f"ALTER VIEW {schema}.{VIEW} SET (security_barrier = true)")
            await db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}")
            await db.execute(f"GRANT SELECT ON {schema}.{VIEW} TO {schema}")
        self._organisations.add(organisation)

    async def ping(self) -> None:
        async with self._connection() as db:
            await db.execute("SELECT 1")

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self._url, min_size=0, max_size=self._connections, timeout=CONNECT_TIMEOUT_S, command_timeout=60
                    )
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as db:
                yield db
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            refused = (getattr(error, "sqlstate", None) or "").startswith(_REFUSED)
            fix = "; correct user, password and database in warehouse_url" if refused else ""
            raise WarehouseUnavailable(f"PostgreSQL did not do it: {error}{fix}") from error


def _type(column: Column) -> str:
    return TYPES[column.type]
