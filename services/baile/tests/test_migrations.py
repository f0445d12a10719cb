"""A database of an earlier schema, with data in it, is brought to this version's."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from studio9_baile.database import Database, engine_for
from studio9_baile.migrations import upgrade
from studio9_baile.repositories.tallies import Usage

POSTGRESQL = os.environ.get("STUDIO9_TEST_POSTGRESQL_URL", "")
NO_SERVER = pytest.mark.skipif(not POSTGRESQL, reason="STUDIO9_TEST_POSTGRESQL_URL is not set")
NOW = "'2026-11-21 10:00:00'"
FIRST = (
    f"INSERT INTO organisations (id, name, next_event, created_at) VALUES ('o', 'lab', 1, {NOW})",
    *(
        "INSERT INTO users (id, organisation, created_at, updated_at, username, email, password_hash, first_name,"
        f" last_name, role, status) VALUES ('{name}', 'o', {NOW}, {NOW}, '{name}', '{name}@x', 'h', 'A', 'B', '{role}',"
        " 'ACTIVE')"
        for name, role in (("u1", "USER"), ("u2", "ADMIN"), ("u3", "ADMIN"))
    ),
)
FIRST_SIGN_INS = (
    'INSERT INTO sign_ins (id, organisation, created_at, "user", expires_at)'
    f" VALUES ('i', 'o', {NOW}, 'u2', '2100-01-01 00:00:00')",
    'INSERT INTO past_passwords (id, organisation, created_at, "user", password_hash)'
    f" VALUES ('w', 'o', {NOW}, 'u2', 'older')",
)
KEPT = ("sign_ins", "past_passwords")
SEVENTH = (
    *FIRST,
    "INSERT INTO albums (id, organisation, created_at, owner, name, updated_at, status, type, label_mode, in_library)"
    f" VALUES ('a', 'o', {NOW}, 'u1', 'a', {NOW}, 'ACTIVE', 'SOURCE', 'LOCALIZATION', true)",
    *(
        "INSERT INTO pictures (id, organisation, created_at, album, sha256, key, profile, content_type, size, width,"
        f" height, filename) VALUES ('p{n}', 'o', {NOW}, 'a', 's', 'k', 'd', 'image/png', 1, 1, 1, 'f')"
        for n in range(3)
    ),
    "INSERT INTO picture_labels (id, organisation, created_at, picture, album, predicted, label, count)"
    f" VALUES ('l', 'o', {NOW}, 'p1', 'a', false, 'ship', 2)",
)

TENTH = (
    "INSERT INTO file_sets (id, organisation, created_at, owner, name, updated_at, status)"
    f" VALUES ('s', 'o', {NOW}, 'u1', 's', {NOW}, 'IDLE')",
    "INSERT INTO stored_files (id, organisation, created_at, file_set, name, key, profile, sha256, size, content_type)"
    f" VALUES ('f', 'o', {NOW}, 's', 'f', 'k', 'd', 's', 7, 'text/plain')",
    "INSERT INTO dataset_versions (id, organisation, created_at, author, purpose, pictures, shapes)"
    f" VALUES ('d', 'o', {NOW}, 'u1', 'tiles', 1, 1)",
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NO_SERVER)])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.sqlite'}"
        return
    name = f"baile_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(POSTGRESQL)
    await connection.execute(f"CREATE DATABASE {name}")
    yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_what_the_first_schema_holds_is_there_in_the_newest(empty: str) -> None:
    engine = engine_for(empty)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0001")
        for statement in (*FIRST, *FIRST_SIGN_INS):
            await connection.execute(text(statement))
    await engine.dispose()
    database = Database(empty)
    await database.migrate()
    async with database.read("o") as work:
        users = {user.id: (user.role.value, user.email, user.password_hash) for user in await work.users.all()}
        assert users == {
            "u1": ("editor", "u1@x", "h"), "u2": ("owner", "u2@x", "h"), "u3": ("admin", "u3@x", "h"),
        }  # fmt: skip
        assert await work.tallies.usage() == Usage(0, 0)
    await database.close()
    engine = engine_for(empty)
    async with engine.connect() as connection:
        kept = [(await connection.execute(text(f"SELECT id FROM {table}"))).scalars().all() for table in KEPT]
    await engine.dispose()
    assert kept == [["i"], ["w"]]


async def test_what_the_seventh_schema_holds_is_there_in_the_newest(empty: str) -> None:
    engine = engine_for(empty)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0007")
        for statement in SEVENTH:
            await connection.execute(text(statement))
    await engine.dispose()
    database = Database(empty)
    await database.migrate()
    async with database.read("o") as work:
        users = {user.id: user.role.value for user in await work.users.all()}
        assert users == {"u1": "editor", "u2": "owner", "u3": "admin"}, "who was there first has made the organisation"
        assert await work.tallies.pictures("a") == 3 and await work.tallies.labelled("a", False) == 1
        assert await work.tallies.labels("a", [False]) == [("ship", 2)]
        assert await work.tallies.usage() == Usage(3, 3)
    await database.close()


async def test_what_the_tenth_schema_holds_is_counted_in_bytes(empty: str) -> None:
    engine = engine_for(empty)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0007")
        for statement in SEVENTH:
            await connection.execute(text(statement))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0010")
    async with engine.begin() as connection:
        for statement in TENTH:
            await connection.execute(text(statement))
    await engine.dispose()
    database = Database(empty)
    await database.migrate()
    async with database.read("o") as work:
        assert await work.tallies.pictures("a") == 3 and await work.tallies.usage() == Usage(3, 3 + 7)
        assert not (await work.dataset_versions.get("d")).listed, "a sweep will look at what it holds"
    async with database.write("o") as work:
        await work.pictures.remove(await work.pictures.get("p0"))
        await work.files.remove(await work.files.get("f"))
    async with database.read("o") as work:
        assert await work.tallies.usage() == Usage(2, 2)
    await database.close()
