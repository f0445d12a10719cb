"""What makes databases for tests cheap: PostgreSQL's are used again, and statements are put into words once."""

import os
import secrets
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from studio9_baile import database

POSTGRESQL = os.environ.get("STUDIO9_TEST_POSTGRESQL_URL", "")
GROWN = 4 << 20
"""Bytes by which a database may have grown from test to test; then a new one is cheaper than its dead rows."""

_CATALOGUES = ("pg_class", "pg_attribute", "pg_constraint", "pg_trigger")
_TABLES = "FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_SIZE = f"SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint {_TABLES}"
# Vacuum and its statistics change rows of the catalogues in place; everything else gives them another xmin.
_SHAPE = " UNION ALL ".join(
    f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in _CATALOGUES
) + (
    " UNION ALL SELECT 'settings', count(*), 0 FROM pg_db_role_setting, pg_database"
    " WHERE setdatabase = pg_database.oid AND datname = current_database()"
    " UNION ALL SELECT 'itself', 1, xmin::text::bigint FROM pg_database WHERE datname = current_database()"
)
_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_KEEP = f"""DO $$ DECLARE one text; kept bool; BEGIN
    CREATE SCHEMA kept;
    FOR one IN SELECT relname {_TABLES} LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', one) INTO kept;
        IF kept THEN EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', one, one); END IF;
    END LOOP;
END $$"""
_RESET = f"""DO $$ DECLARE one text; BEGIN
    SET LOCAL session_replication_role = replica;  -- foreign keys are not looked at
    FOR one IN SELECT relname {_TABLES} AND pg_relation_size(oid) > 0 LOOP
        EXECUTE format('DELETE FROM public.%I', one);
    END LOOP;
    FOR one IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'kept'::regnamespace LOOP
        EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', one, one);
    END LOOP;
END $$"""


def address(name: str) -> str:
    """Of a database of the server."""
    return f"{POSTGRESQL.rpartition('/')[0]}/{name}"


async def on_server(statement: str) -> None:
    """Runs a statement in the server's own database."""
    connection = await asyncpg.connect(POSTGRESQL)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class Reused:
    """A copy of a template that one test after the other uses. In between its rows become the template's again, which
    takes a tenth of what another copy does; where a test has changed anything but rows, the next one gets another
    copy."""

    def __init__(self, template: str) -> None:
        self._template, self._name = template, ""
        self._shape: Any = None
        self._size = 0

    async def take(self) -> str:
        """The address of the database, with the template's rows."""
        if not self._name:
            name = f"baile_{secrets.token_hex(6)}"
            await on_server(f"CREATE DATABASE {name} TEMPLATE {self._template}")
            self._name = name
            connection = await asyncpg.connect(address(name))
            try:
                await connection.execute(_KEEP)
                self._shape, self._size = await connection.fetch(_SHAPE), await connection.fetchval(_SIZE)
            finally:
                await connection.close()
        return address(self._name)

    async def give_back(self) -> None:
        """After a test, which must have closed its connections; if it has not, they are cut."""
        connection = await asyncpg.connect(address(self._name))
        try:
            await connection.execute(_OTHERS)
            good = await connection.fetch(_SHAPE) == self._shape
            good = good and await connection.fetchval(_SIZE) < self._size + GROWN
            if good:
                await connection.execute(_RESET)
        finally:
            await connection.close()
        if not good:
            await self.drop()

    async def drop(self) -> None:
        """What there is; the next test gets another copy."""
        name, self._name = self._name, ""
        if name:
            await on_server(f"DROP DATABASE {name} WITH (FORCE)")


def share_statements(patch: pytest.MonkeyPatch) -> None:
    """Lets all engines of a kind of database share what they make of statements, as the one engine of a process of
    Baile's does from request to request."""
    make, first = database.create_async_engine, dict[str, Engine]()

    def sharing(*given: Any, **options: Any) -> AsyncEngine:
        made = make(*given, **options)
        engine = made.sync_engine
        one = first.setdefault(engine.dialect.name, engine)
        engine.dialect = engine.pool._dialect = one.dialect
        engine._compiled_cache = one._compiled_cache
        return made

    patch.setattr(database, "create_async_engine", sharing)
