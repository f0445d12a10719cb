"""Prediction tables in Amazon Redshift, which reads the parts from object storage itself: one COPY per load.

A load copies the parts, named by a manifest, into a temporary table, checks them there, locks the ledger, and writes
the rows and the ledger's line in one transaction. Redshift enforces no keys: the lock is what makes a load happen once.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redshift_connector
from redshift_connector.error import Error as DriverError
from redshift_connector.error import ProgrammingError

from studio9_common.contracts.predictions import COLUMNS, Column, ColumnType
from studio9_common.objects.port import Objects
from studio9_common.times import format_time
from studio9_common.warehouse import parts
from studio9_common.warehouse.guard import guarded
from studio9_common.warehouse.ledger import repeated
from studio9_common.warehouse.port import BadPart, Load, Loaded, QueryFailed, Rows, WarehouseUnavailable
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
    organisation_schema,
    quoted,
    view,
)
from studio9_common.warehouse.values import rows_of

CONNECT_TIMEOUT_S = 30

_TABLE = f"{SCHEMA}.{TABLE}"
_LEDGER = f"{SCHEMA}.{LEDGER}"
_JSON = frozenset(column.name for column in COLUMNS if column.type is ColumnType.json)
# COPY cannot tell an empty text from none at all, so it loads both as NULL; of the required columns only this one's
# text may be empty.
_MAY_BE_EMPTY = frozenset({"picture_filename"})


@dataclass(frozen=True, slots=True)
class RedshiftAddress:
    """How to reach the cluster or workgroup, and what COPY reads the parts with: a role, or a key of its own.

    `objects_url` is `s3://bucket/prefix` of the storage profile whose keys the loads name.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    objects_url: str
    iam_role: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str | None = None
    ssl: bool = True


class RedshiftWarehouse:
    """Warehouse (the port) in Redshift. `timeout_s` limits a query."""

    def __init__(self, address: RedshiftAddress, objects: Objects, *, timeout_s: float = 30.0) -> None:
        self._address = address
        self._objects = objects
        self._timeout_s = timeout_s
        self._views: set[str] = set()

    async def prepare(self) -> None:
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        with self._cursor() as db:
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} ({definitions(_type)})"
                " DISTSTYLE KEY DISTKEY (picture_id) COMPOUND SORTKEY (organisation, predicted_at)"
            )
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {_LEDGER} (organisation VARCHAR(128) NOT NULL, job VARCHAR(128) NOT NULL,"
                " output VARCHAR(128) NOT NULL, manifest_sha256 VARCHAR(64) NOT NULL, loaded_rows BIGINT NOT NULL,"
                " loaded_at VARCHAR(32) NOT NULL, PRIMARY KEY (organisation, job, output)) DISTSTYLE ALL"
            )
            db.execute(
                "SELECT column_name FROM information_schema.columns"
                f" WHERE table_schema = {literal(SCHEMA)} AND table_name = {literal(TABLE)}"
            )
            known = {row[0] for row in db.fetchall()}
            for name in NAMES:
                if name not in known:
                    db.execute(f"ALTER TABLE {_TABLE} ADD COLUMN {definitions(_type, [name], strict=False)}")

    async def load(self, load: Load) -> Loaded:
        if found := await self._seen(load):
            return found
        columns = await parts.inspected(self._objects, load)
        manifest = await self._write_manifest(load) if load.parts else None
        return await asyncio.to_thread(self._load, load, columns, manifest)

    async def _write_manifest(self, load: Load) -> str:
        """Written under a name that follows from the load, so that a repeated load finds its own."""
        body = {
            "entries": [
                {"url": self._url(part.key), "mandatory": True, "meta": {"content_length": part.size}}
                for part in load.parts
            ]
        }
        key = f"{load.organisation}/jobs/{load.job}/warehouse/{load.output}-{load.manifest_sha256[:16]}.manifest"
        await self._objects.put(key, json.dumps(body).encode(), content_type="application/json")
        return self._url(key)

    def _url(self, key: str) -> str:
        return f"{self._address.objects_url.rstrip('/')}/{key}"

    def _load(self, load: Load, columns: Sequence[str], manifest: str | None) -> Loaded:
        with self._cursor() as db:
            db.execute("BEGIN")
            try:
                staging = definitions(_staging_type, columns, strict=False)
                db.execute(f"CREATE TEMP TABLE staging ({staging}) DISTKEY (picture_id)")
                if manifest is not None:
                    db.execute(self._copy(columns, manifest))
                self._check(db, load)
                db.execute(f"LOCK {_LEDGER}")
                if found := self._find(db, load.organisation, load.job, load.output, load.manifest_sha256):
                    db.execute("ROLLBACK")
                    return found
                loaded = self._commit(db, load, columns)
                db.execute("COMMIT")
                return loaded
            except ProgrammingError as error:
                db.execute("ROLLBACK")
                state, text = _state(error)
                if state.startswith(("22", "23")) or state == "XX000":
                    raise parts.failed(load, text) from None
                raise
            except BadPart:
                db.execute("ROLLBACK")
                raise

    def _copy(self, columns: Sequence[str], manifest: str) -> str:
        address = self._address
        if address.iam_role:
            access = f"IAM_ROLE {literal(address.iam_role)}"
        elif address.access_key and address.secret_key:
            access = f"ACCESS_KEY_ID {literal(address.access_key)} SECRET_ACCESS_KEY {literal(address.secret_key)}"
        else:
            access = "IAM_ROLE DEFAULT"
        region = f" REGION {literal(address.region)}" if address.region else ""
        return (
            f"COPY staging ({listed(columns)}) FROM {literal(manifest)} {access}{region}"
            " MANIFEST FORMAT CSV GZIP IGNOREHEADER 1 EMPTYASNULL TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF"
        )

    def _check(self, db: Any, load: Load) -> None:
        db.execute(
            "SELECT count(*), sum(CASE WHEN organisation <> %s OR job <> %s THEN 1 ELSE 0 END) FROM staging",
            (load.organisation, load.job),
        )
        parts.check_staged(load, *db.fetchone())

    def _commit(self, db: Any, load: Load, columns: Sequence[str]) -> Loaded:
        new = (
            "FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY prediction_id ORDER BY box_index) AS copy FROM staging)"
            f" AS staged WHERE copy = 1 AND NOT EXISTS (SELECT 1 FROM {_TABLE} AS present"
            " WHERE present.organisation = staged.organisation AND present.prediction_id = staged.prediction_id)"
        )
        db.execute(f"SELECT count(*) {new}")
        (added,) = db.fetchone()
        values = ", ".join(map(_value, columns))
        db.execute(f"INSERT INTO {_TABLE} ({listed(columns)}) SELECT {values} {new}")
        loaded = Loaded(added, format_time(datetime.now(UTC)), repeated=False)
        db.execute(
            f"INSERT INTO {_LEDGER} ({listed(LEDGER_COLUMNS)}) VALUES (%s, %s, %s, %s, %s, %s)",
            (load.organisation, load.job, load.output, load.manifest_sha256, added, loaded.loaded_at),
        )
        return loaded

    async def ledger(self, organisation: str, job: str, output: str) -> Loaded | None:
        return await asyncio.to_thread(self._ledger, organisation, job, output, None)

    async def _seen(self, load: Load) -> Loaded | None:
        return await asyncio.to_thread(self._ledger, load.organisation, load.job, load.output, load.manifest_sha256)

    def _ledger(self, organisation: str, job: str, output: str, manifest: str | None) -> Loaded | None:
        with self._cursor() as db:
            return self._find(db, organisation, job, output, manifest)

    def _find(self, db: Any, organisation: str, job: str, output: str, manifest: str | None) -> Loaded | None:
        db.execute(
            f"SELECT manifest_sha256, loaded_rows, loaded_at FROM {_LEDGER}"
            " WHERE organisation = %s AND job = %s AND output = %s",
            (organisation, job, output),
        )
        return repeated(db.fetchone(), manifest, job, output)

    async def query(
        self, organisation: str, sql: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 10_000
    ) -> Rows:
        name = f"{organisation_schema(organisation)}.{VIEW}"
        checked = await asyncio.to_thread(
            guarded, sql, parameters, view=name, limit=limit + 1, read="redshift", write="redshift"
        )
        return await asyncio.to_thread(self._query, organisation, name, checked, limit)

    def _query(self, organisation: str, name: str, sql: str, limit: int) -> Rows:
        with self._cursor() as db:
            if name not in self._views:
                db.execute(f"CREATE SCHEMA IF NOT EXISTS {organisation_schema(organisation)}")
                db.execute(view(organisation, name))
                self._views.add(name)
            db.execute(f"SET statement_timeout TO {round(self._timeout_s * 1000)}")
            db.execute("BEGIN READ ONLY")
            try:
                db.execute(sql)
                columns = [column[0] for column in db.description or ()]
                return rows_of(columns, db.fetchmany(limit + 1), limit)
            except ProgrammingError as error:
                state, text = _state(error)
                if state == "57014":
                    text = f"the statement took longer than {self._timeout_s:g} s"
                raise QueryFailed(text[:500], field="sql") from None

    async def ping(self) -> None:
        await asyncio.to_thread(self._ping)

    def _ping(self) -> None:
        with self._cursor() as db:
            db.execute("SELECT 1")

    async def close(self) -> None:
        """Every statement has a connection of its own; none is kept."""

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        address = self._address
        try:
            connection = redshift_connector.connect(
                host=address.host,
                port=address.port,
                database=address.database,
                user=address.user,
                password=address.password,
                ssl=address.ssl,
                timeout=CONNECT_TIMEOUT_S,
                tcp_keepalive=True,
            )
        except (DriverError, OSError) as error:
            raise WarehouseUnavailable(f"Redshift cannot be reached: {error}") from error
        try:
            # Transactions are begun and ended by the statements above, not by the driver.
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        except (DriverError, OSError) as error:
            raise WarehouseUnavailable(f"Redshift did not do it: {error}") from error
        finally:
            connection.close()


def _type(column: Column) -> str:
    match column.type:
        case ColumnType.text:
            return f"VARCHAR({column.size})"
        case ColumnType.long:
            return "BIGINT"
        case ColumnType.double:
            return "DOUBLE PRECISION"
        case ColumnType.json:
            return "SUPER"
        case ColumnType.time:
            return "TIMESTAMPTZ"


def _staging_type(column: Column) -> str:
    """JSON arrives as text and is parsed on its way into the table."""
    return f"VARCHAR({column.size})" if column.type is ColumnType.json else _type(column)


def _value(name: str) -> str:
    if name in _JSON:
        return f"JSON_PARSE({quoted(name)})"
    return f"COALESCE({quoted(name)}, '')" if name in _MAY_BE_EMPTY else quoted(name)


def _state(error: ProgrammingError) -> tuple[str, str]:
    """SQLSTATE and message, which the driver gives as a mapping of the protocol's field codes."""
    found = error.args[0] if error.args else {}
    if isinstance(found, Mapping):
        return str(found.get("C", "")), str(found.get("M", found))
    return "", str(error)
