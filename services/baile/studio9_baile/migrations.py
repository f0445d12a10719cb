"""Brings a database to this version's schema through Alembic. Forward only: there is no way back but a backup."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_LOCK = 0x57D9_BA11


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for a connection that is in a transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Applies what is missing, all in the connection's transaction. Other instances wait for it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    command.upgrade(alembic_config(connection), revision)
