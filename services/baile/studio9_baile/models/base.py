"""What all tables share: names of constraints, ids, times in UTC, JSON."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, MetaData, String, text
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC. SQLite has no time zones: there the text is UTC and becomes aware on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored; pass an aware datetime")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def reference(column: str, *, cascade: bool = False) -> ForeignKey:
    """A foreign key that is checked at the commit, so that rows may be written in any order. With `cascade` a row goes
    with the one that it refers to."""
    return ForeignKey(column, ondelete="CASCADE" if cascade else None, deferrable=True, initially="DEFERRED")


def in_library(name: str, *columns: str) -> Index:
    """A unique index over what users see in the library; results that are not saved there may share names."""
    where = text("in_library")
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


def json_type() -> TypeEngine[Any]:
    """JSON as the database does it best; None is NULL."""
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class JsonText(str):
    """A value of a JSON column that is JSON already: large ones are written beside the event loop."""

    __slots__ = ()


def json_text(value: Any) -> str:
    """A value of a JSON column as the database gets it."""
    return value if isinstance(value, JsonText) else json.dumps(value)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it is
        datetime: UtcTime,
        str: String,
        Enum: EnumType(Enum, native_enum=False, length=32),
        dict[str, Any]: json_type(),
        list[Any]: json_type(),
    }


class Scoped(Base):
    """A row of one organisation. Only repositories, which know theirs, select from these."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation: Mapped[str] = mapped_column(reference("organisations.id"), index=True)
    created_at: Mapped[datetime]


class Asset(Scoped):
    """What a user has made and named. `updated_at` is the last change by a user."""

    __abstract__ = True

    owner: Mapped[str] = mapped_column(reference("users.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    updated_at: Mapped[datetime]
