"""The database: migrations give the models' tables, transactions are whole, organisations apart, events in order."""

import asyncio
import gc
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, make_url, select

from studio9_baile import migrations
from studio9_baile.database import Database, DatabaseUnavailable, engine_for
from studio9_baile.models import Base
from studio9_baile.models.identity import Organisation
from studio9_baile.models.records import Lineage
from studio9_common.errors import BadInput, NotFound
from studio9_common.ids import new_id

from .conftest import NO_SERVER, POSTGRESQL


@pytest.fixture
async def database(database_url: str) -> Any:
    made = Database(database_url)
    async with made.system() as work:
        for name in ("a", "b"):
            work.add(Organisation(id=name, name=name, next_event=1, created_at=work.now))
    yield made
    await made.close()


def edge(organisation: str, child: str) -> Lineage:
    return Lineage(
        id=new_id(), organisation=organisation, created_at=datetime.now(UTC), child_kind="ALBUM", child=child,
        parent_kind="ALBUM", parent="p", role="copy", job=None,
    )  # fmt: skip


async def test_the_migrations_make_exactly_the_models_tables(database_url: str) -> None:
    def ours(_: Any, name: str | None, *__: Any) -> bool:
        return name != "ix_pictures_search"  # where PostgreSQL has what it takes; no model knows of it

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        return list(compare_metadata(context, Base.metadata))

    engine = engine_for(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_migrating_again_and_twice_at_once_is_harmless(database: Database, database_url: str) -> None:
    async with database.write("a") as work:
        work.lineage.add(edge("a", "x"))
    other = Database(database_url)
    await asyncio.gather(database.migrate(), other.migrate())
    await other.close()
    async with database.read("a") as work:
        assert await work.lineage.count() == 1, "what was there stays"


async def test_an_exception_leaves_nothing(database: Database) -> None:
    row = edge("a", "x")
    with pytest.raises(ZeroDivisionError):
        async with database.write("a") as work:
            work.lineage.add(row)
            work.emit("made", {})
            await work.flush()
            raise ZeroDivisionError
    async with database.read("a") as work:
        assert await work.lineage.count() == 0 and await work.events.after(0, "u") == []


async def test_a_repository_sees_its_organisation_only(database: Database) -> None:
    row = edge("a", "x")
    async with database.write("a") as work:
        work.lineage.add(row)
    async with database.read("b") as work:
        assert await work.lineage.find(row.id) is None
        assert await work.lineage.many([row.id]) == {} and await work.lineage.count() == 0
        with pytest.raises(NotFound):
            await work.lineage.get(row.id)
    async with database.write("b") as work:
        with pytest.raises(ValueError, match="cannot be added"):
            work.lineage.add(edge("a", "y"))
    with pytest.raises(ValueError, match="belongs to an organisation"):
        async with database.read(""):
            pass


async def test_events_are_numbered_in_the_order_of_their_commits(database: Database) -> None:
    async def one(number: int) -> None:
        async with database.write("a") as work:
            work.emit("e", {"n": number})
            await asyncio.sleep(0)
            work.emit("e", {"n": number}, user="someone else")

    await asyncio.gather(*(one(number) for number in range(20)))
    async with database.write("b") as work:
        work.emit("e", {})
    async with database.read("a") as work:
        mine = await work.events.after(0, "u", 1000)
        everything = await work.events.after(0, "someone else", 1000)
    assert [event.number for event in everything] == list(range(1, 41))
    assert len(mine) == 20
    async with database.read("b") as work:
        assert [event.number for event in await work.events.after(0, "u")] == [1]


@NO_SERVER
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_the_server_has_ended_is_replaced(database: Database, database_url: str) -> None:
    async with database.read("a") as work:
        assert await work.lineage.count() == 0
    server = await asyncpg.connect(database_url)
    ended = await server.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    await server.close()
    assert len(ended) == 1
    async with database.read("a") as work:
        assert await work.lineage.count() == 0


def test_an_addresss_options_are_those_of_other_programs_too() -> None:
    engine = engine_for("postgresql://u@127.0.0.1/d?sslmode=require&prepared_statement_cache_size=0")
    assert dict(engine.url.query) == {"ssl": "require", "prepared_statement_cache_size": "0"}
    with pytest.raises(BadInput, match="option") as refused:
        engine_for("postgresql://u:secret@127.0.0.1/d?sslmodus=require")
    assert (refused.value.field, refused.value.value) == ("database_url", "sslmodus")
    with pytest.raises(BadInput, match="sslmode") as refused:
        engine_for("postgresql://u:secret@127.0.0.1/d?sslmode=full")
    assert refused.value.value == "full" and "verify-full" in str(refused.value.fix)


async def test_a_database_that_is_away_is_said_so(tmp_path: Path) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        await away.ping()
    await away.close()
    with pytest.raises(BadInput, match="neither PostgreSQL nor SQLite"):
        Database("mysql://somewhere/else")


@pytest.mark.parametrize("code", ["57P03", "53300"], ids=["starting", "too many connections"])
async def test_a_server_that_refuses_connections_for_now_is_away(code: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size - 4)
        if size == 8:  # asks for TLS
            writer.write(b"N")
            await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        fields = b"".join(f"{kind}{value}\0".encode() for kind, value in (("S", "FATAL"), ("C", code), ("M", "no")))
        writer.write(b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    refusing = Database(f"postgresql://nobody@127.0.0.1:{server.sockets[0].getsockname()[1]}/none")
    with pytest.raises(DatabaseUnavailable):
        await refusing.ping()
    await refusing.close()
    server.close()


@NO_SERVER
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_a_deadlock_has_undone_is_to_be_sent_again(database: Database) -> None:
    turn = asyncio.Barrier(2)

    async def locking(first: int, second: int) -> None:
        async with database.write("a") as work:
            for number in (first, second):
                await work.lineage._session.execute(select(func.pg_advisory_xact_lock(number)))
                if number == first:
                    await turn.wait()

    ends = await asyncio.gather(locking(1, 2), locking(2, 1), return_exceptions=True)
    assert {type(end) for end in ends} == {type(None), DatabaseUnavailable}


async def test_closing_waits_for_open_transactions_and_lets_no_other_begin(database: Database) -> None:
    """A connection that came back after its pool is gone would be closed by nobody."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def read() -> Any:
        async with database.read("a") as work:
            begun.set()
            await go_on.wait()
            return await work.users.all()

    reading = asyncio.create_task(read())
    await begun.wait()
    closing = asyncio.create_task(database.close())
    with pytest.raises(DatabaseUnavailable):
        while True:  # the task that closes has to have its first turn
            await asyncio.sleep(0)
            async with database.read("a"):
                pass
    assert not closing.done()
    go_on.set()
    assert await reading == []
    await closing


async def test_a_task_cancelled_in_its_statement_leaves_no_connection_to_the_garbage_collector(
    database: Database,
) -> None:
    async def ping() -> None:
        while True:
            await database.ping()

    pinging = [asyncio.create_task(ping()) for _ in range(5)]
    await database.ping()
    for task in pinging:
        task.cancel()
    await database.close()
    await asyncio.wait(pinging)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in caught if "before being closed" in str(one.message)] == []


def test_the_schema_has_one_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / "alembic"))
    config.set_main_option("path_separator", "os")
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


@NO_SERVER
async def test_a_wrong_address_of_postgresql_names_the_setting_and_not_the_password() -> None:
    good, role = make_url(POSTGRESQL), f"role_{new_id().replace('-', '')}"
    wrong = good.set(password="marked-password")
    cases = [
        (wrong, "password authentication failed", "ALTER ROLE ... PASSWORD"),
        (good.set(database="nowhere"), 'database "nowhere" does not exist', "CREATE DATABASE"),
        (wrong.set(username=role), "not permitted to log in", "ALTER ROLE ... LOGIN"),
        (wrong.set(username=f"{role}_b"), "permission denied for schema public", "GRANT CONNECT"),
    ]
    connection = await asyncpg.connect(POSTGRESQL)
    await connection.execute(f"CREATE ROLE {role} PASSWORD 'marked-password'")
    await connection.execute(f"CREATE ROLE {role}_b LOGIN PASSWORD 'marked-password'")
    try:
        for url, message, fix in cases:
            database = Database(url.render_as_string(hide_password=False))
            with pytest.raises(BadInput, match=message) as refused:
                await database.migrate()
            problem = refused.value.problem()
            assert problem["field"] == "database_url" and fix in problem["fix"]
            assert problem["value"] == url.render_as_string(), "its password in stars"
            assert refused.value.__suppress_context__, "the driver's own trace is not shown"
            assert "marked-password" not in str(problem) and str(good.password) not in str(problem)
            if url is wrong:
                with pytest.raises(DatabaseUnavailable, match="compare user, password") as later:
                    await database.ping()
                assert later.value.code == "database_refuses", "a password that changed while it ran"
            await database.close()
    finally:
        await connection.execute(f"DROP ROLE {role}, {role}_b")
        await connection.close()


@pytest.mark.parametrize("url", ["marked-password", "postgresql://ana:marked-password@host:port/x"])
def test_an_address_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Database(url)
    assert refused.value.field == "database_url" and "marked-password" not in str(refused.value.problem())
