"""Binary datasets with their files, online APIs, codes that go out by mail; an album's video and times."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("albums", sa.Column("video", Json, nullable=True))
    op.add_column("albums", sa.Column("times", Json, nullable=True))
    _asset("file_sets", sa.Column("status", sa.String(), nullable=False))
    _table(
        "stored_files",
        sa.Column("file_set", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        _reference("stored_files", "file_set", "file_sets.id", cascade=True),
        sa.UniqueConstraint("file_set", "name", name=op.f("uq_stored_files_file_set_name")),
    )
    _asset(
        "online_apis",
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        _reference("online_apis", "model", "models.id"),
        _reference("online_apis", "model_version", "model_versions.id"),
        indexed=("model", "model_version"),
    )
    _table(
        "mailed_codes",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("used_at", Time, nullable=True),
        _reference("mailed_codes", "user", "users.id", cascade=True),
        sa.UniqueConstraint("code_hash", name=op.f("uq_mailed_codes_code_hash")),
        indexed=("user", "expires_at"),
    )


def _asset(name: str, *parts: Any, indexed: tuple[str, ...] = ()) -> None:
    """A table of what users make and name."""
    _table(
        name,
        *parts,
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        _reference(name, "owner", "users.id"),
        sa.UniqueConstraint("organisation", "owner", "name", name=op.f(f"uq_{name}_organisation_owner_name")),
        indexed=("owner", *indexed),
    )


def _table(name: str, *parts: Any, indexed: tuple[str, ...] = ()) -> None:
    """A table of rows that belong to an organisation."""
    op.create_table(
        name,
        *parts,
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        _reference(name, "organisation", "organisations.id"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )
    for column in ("organisation", *indexed):
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)


def _reference(table: str, column: str, target: str, *, cascade: bool = False) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [target],
        name=op.f(f"fk_{table}_{column}"),
        ondelete="CASCADE" if cascade else None,
        initially="DEFERRED",
        deferrable=True,
    )
