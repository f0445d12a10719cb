"""Packages of users' own code, and which one a model version was trained with."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"

Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "code_packages",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("unpacked", sa.BigInteger(), nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        _reference("owner", "users.id"),
        _reference("organisation", "organisations.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_packages")),
    )
    for column in ("sha256", "owner", "organisation"):
        op.create_index(op.f(f"ix_code_packages_{column}"), "code_packages", [column], unique=False)
    op.add_column("model_versions", sa.Column("code", sa.String(), nullable=True))
    op.create_index(op.f("ix_model_versions_code"), "model_versions", ["code"], unique=False)


def _reference(column: str, target: str) -> Any:
    return sa.ForeignKeyConstraint(
        [column], [target], name=op.f(f"fk_code_packages_{column}"), initially="DEFERRED", deferrable=True
    )
