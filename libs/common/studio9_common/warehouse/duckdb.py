"""Prediction tables in a DuckDB file: one process opens it, loads go one after the other, queries beside them.

Files other than the one staging folder are out of reach of SQL, and the configuration is locked, before the first
statement of anybody runs.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from studio9_common.contracts.predictions import COLUMNS, Column, ColumnType
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
    literal,
)
from studio9_common.warehouse.values import rows_of

TYPES = {
    ColumnType.text: "VARCHAR",
    ColumnType.long: "BIGINT",
    ColumnType.double: "DOUBLE",
    ColumnType.json: "JSON",
    ColumnType.time: "TIMESTAMPTZ",
}
_TABLE = f"{SCHEMA}.{TABLE}"
_LEDGER = f"{SCHEMA}.{LEDGER}"


class DuckDbWarehouse:
    """Warehouse (the port) in `path`. `threads` and `memory` limit DuckDB, `timeout_s` a query."""

    def __init__(
        self, path: Path, objects: Objects, *, timeout_s: float = 30.0, threads: int = 2, memory: str = "1GB"
    ) -> None:
        self._objects = objects
        self._timeout_s = timeout_s
        self._staging = path.parent / f"{path.name}.staging"
        self._writing = asyncio.Lock()
        try:
            self._staging.mkdir(parents=True, exist_ok=True)
            self._db = duckdb.connect(
                str(path),
                config={
                    "threads": str(threads),
                    "memory_limit": memory,
                    "temp_directory": str(self._staging / "spill"),
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                    "allow_community_extensions": "false",
                },
            )
            self._db.execute(f"SET allowed_directories = [{literal(str(self._staging))}]")
            self._db.execute("SET TimeZone = 'UTC'")
            self._db.execute("SET enable_external_access = false")
            self._db.execute("SET lock_configuration = true")
        except (OSError, duckdb.Error) as error:
            raise WarehouseUnavailable(f"{path} cannot be opened (by one process at a time): {error}") from error

    async def prepare(self) -> None:
        async with self._writing:
            await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        with self._cursor() as db:
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            db.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} ({definitions(_type)})")
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {_LEDGER} (organisation VARCHAR, job VARCHAR, output VARCHAR,"
                " manifest_sha256 VARCHAR NOT NULL, loaded_rows BIGINT NOT NULL, loaded_at VARCHAR NOT NULL,"
                " PRIMARY KEY (organisation, job, output))"
            )
            known = {row[0] for row in db.execute(f"SELECT column_name FROM (DESCRIBE {_TABLE})").fetchall()}
            for name in NAMES:
                if name not in known:
                    db.execute(f"ALTER TABLE {_TABLE} ADD COLUMN {definitions(_type, [name], strict=False)}")

    async def load(self, load: Load) -> Loaded:
        if found := await self._seen(load):
            return found
        async with parts.fetched(self._objects, load, self._staging) as local, self._writing:
            if found := await self._seen(load):
                return found
            return await asyncio.to_thread(self._load, load, local)

    def _load(self, load: Load, local: list[parts.LocalPart]) -> Loaded:
        with self._cursor() as db:
            db.execute("BEGIN TRANSACTION")
            try:
                db.execute(f"CREATE OR REPLACE TEMP TABLE staging ({definitions(_type)})")
                for part in local:
                    self._stage(db, part)
                self._check(db, load)
                added = db.execute(
                    f"INSERT INTO {_TABLE} ({listed(NAMES)})"
                    f" SELECT DISTINCT ON (prediction_id) {listed(NAMES)} FROM temp.staging"
                    f" ANTI JOIN {_TABLE} USING (organisation, prediction_id) ORDER BY prediction_id, box_index"
                ).fetchall()[0][0]
                loaded = Loaded(added, format_time(datetime.now(UTC)), repeated=False)
                db.execute(
                    f"INSERT INTO {_LEDGER} ({listed(LEDGER_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)",
                    [load.organisation, load.job, load.output, load.manifest_sha256, added, loaded.loaded_at],
                )
                db.execute("DROP TABLE temp.staging")
                db.execute("COMMIT")
            except duckdb.Error as error:
                db.execute("ROLLBACK")
                if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
                    raise
                raise parts.failed(load, error) from None
            except BaseException:
                db.execute("ROLLBACK")
                raise
        return loaded

    def _stage(self, db: duckdb.DuckDBPyConnection, part: parts.LocalPart) -> None:
        types = {column.name: _type(column) for column in COLUMNS}
        columns = ", ".join(f"{literal(name)}: {literal(types[name])}" for name in part.columns)
        try:
            db.execute(
                f"INSERT INTO temp.staging ({listed(part.columns)}) SELECT {listed(part.columns)}"
                f" FROM read_csv({literal(str(part.path))}, header = true, auto_detect = false, delim = ',',"
                f" quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false,"
                f" strict_mode = true, compression = 'gzip', max_line_size = 4194304, columns = {{{columns}}})"
            )
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise parts.bad(part.part, str(error)[:500]) from None

    def _check(self, db: duckdb.DuckDBPyConnection, load: Load) -> None:
        (found,) = db.execute(
            "SELECT count(*), count(*) FILTER (organisation <> ? OR job <> ?) FROM temp.staging",
            [load.organisation, load.job],
        ).fetchall()
        parts.check_staged(load, *found)

    async def ledger(self, organisation: str, job: str, output: str) -> Loaded | None:
        return await asyncio.to_thread(self._ledger, organisation, job, output, None)

    async def _seen(self, load: Load) -> Loaded | None:
        key = (load.organisation, load.job, load.output)
        return await asyncio.to_thread(self._ledger, *key, load.manifest_sha256)

    def _ledger(self, organisation: str, job: str, output: str, manifest: str | None) -> Loaded | None:
        with self._cursor() as db:
            row = db.execute(
                f"SELECT manifest_sha256, loaded_rows, loaded_at FROM {_LEDGER}"
                " WHERE organisation = ? AND job = ? AND output = ?",
                [organisation, job, output],
            ).fetchone()
        return repeated(row, manifest, job, output)

    async def query(
        self, organisation: str, sql: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 10_000
    ) -> Rows:
        checked = await asyncio.to_thread(
            guarded, sql, parameters, view=VIEW, limit=limit + 1, read="postgres", write="duckdb"
        )
        return await asyncio.to_thread(self._query, organisation, checked, limit)

    def _query(self, organisation: str, sql: str, limit: int) -> Rows:
        with self._cursor() as db:
            db.execute(
                f"CREATE TEMP VIEW {VIEW} AS SELECT {listed(NAMES)} FROM {_TABLE}"
                f" WHERE organisation = {literal(organisation)}"
            )
            db.execute("BEGIN TRANSACTION READ ONLY")
            alarm = threading.Timer(self._timeout_s, db.interrupt)
            alarm.start()
            try:
                db.execute(sql)
                columns = [column[0] for column in db.description or ()]
                return rows_of(columns, db.fetchmany(limit + 1), limit)
            except duckdb.InterruptException:
                raise QueryFailed(f"the statement took longer than {self._timeout_s:g} s", field="sql") from None
            except duckdb.IOException:
                raise
            except duckdb.Error as error:
                raise QueryFailed(str(error)[:500], field="sql") from None
            finally:
                alarm.cancel()

    async def ping(self) -> None:
        await asyncio.to_thread(self._ping)

    def _ping(self) -> None:
        with self._cursor() as db:
            db.execute("SELECT 1")

    async def close(self) -> None:
        async with self._writing:
            await asyncio.to_thread(self._db.close)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: temporary views and transactions of one statement are seen by no other."""
        try:
            with self._db.cursor() as db:
                yield db
        except duckdb.Error as error:
            raise WarehouseUnavailable(f"the warehouse's file cannot be used: {error}") from error


def _type(column: Column) -> str:
    return TYPES[column.type]
