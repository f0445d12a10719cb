"""What all tables share: names of constraints, ids, times in UTC, JSON; and the revisions of what people edit."""

import hashlib
import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Dialect, ForeignKey, Index, MetaData, String, event, inspect, text
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, declared_attr, mapped_column
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

    @property
    def tag(self) -> str | None:
        """What an ETag says of the row: another one after each change. None: nothing is said."""
        return None

    def changed_since(self, tag: str) -> list[str]:
        """What has changed since it had this tag, as far as that is known."""
        return []


class Unchanging(Scoped):
    """A row that is made and removed, and never changed."""

    __abstract__ = True

    @property
    def tag(self) -> str:
        return "1"


class Edited(Scoped):
    """A row that people edit, maybe several at once. Each change raises `revision`, and is written only on top of the
    one that was read: whoever comes too late changes nothing and is told so. `edits` says which columns the last
    changes were of: [[revision, [column, …]], …]."""

    __abstract__ = True

    revision: Mapped[int] = mapped_column(server_default="1")
    edits: Mapped[list[Any] | None]

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.revision}

    @property
    def tag(self) -> str:
        return str(self.revision)

    def changed_since(self, tag: str) -> list[str]:
        if not (tag.isascii() and tag.isdigit()):
            return []
        later = [fields for revision, fields in self.edits or () if revision > int(tag)]
        return sorted({field for fields in later for field in fields})


EDITS_KEPT = 8
_BESIDE = {"revision", "edits", "updated_at"}


@event.listens_for(Edited, "before_update", propagate=True)
def _note_edit(mapper: Mapper[Any], _: Connection, row: Edited) -> None:
    """Writes down what is changed, beside the change."""
    state = inspect(row)
    fields = [one.key for one in mapper.column_attrs if state.attrs[one.key].history.has_changes()]
    named = sorted(set(fields) - _BESIDE)
    if named:
        row.edits = [*(row.edits or [])[1 - EDITS_KEPT :], [row.revision + 1, named]]


def digest(*parts: Any) -> str:
    """A tag of values that are not counted."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]


class Asset(Edited):
    """What a user has made and named. `updated_at` is the last change by a user."""

    __abstract__ = True

    owner: Mapped[str] = mapped_column(reference("users.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    updated_at: Mapped[datetime]
