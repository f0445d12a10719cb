"""Credentials of users' own buckets, by reference: what they hold is a secret elsewhere."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "credentials",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _reference("owner", "users.id", ondelete="CASCADE"),
        _reference("organisation", "organisations.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
    )
    for column in ("owner", "organisation"):
        op.create_index(op.f(f"ix_credentials_{column}"), "credentials", [column], unique=False)


def _reference(column: str, target: str, **options: Any) -> Any:
    return sa.ForeignKeyConstraint(
        [column], [target], name=op.f(f"fk_credentials_{column}"), initially="DEFERRED", deferrable=True, **options
    )
