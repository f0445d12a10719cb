"""Brings a database to this version's schema through Alembic. Forward only: there is no way back but a backup."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_LOCK = 0x57D9_BA11


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings, for a connection that is in a transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def _head() -> str | None:
    """The last revision of this version of Baile."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Applies what is missing, all in the connection's transaction. Other instances wait for it; one that finds
    nothing missing waits for nobody."""
    if revision == "head" and MigrationContext.configure(connection).get_current_revision() == _head():
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    command.upgrade(alembic_config(connection), revision)
