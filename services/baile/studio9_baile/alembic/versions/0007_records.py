"""Schema 1: lineage, audit, buckets, catalogue."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "lineage",
        sa.Column("child_kind", sa.String(), nullable=False),
        sa.Column("child", sa.String(), nullable=False),
        sa.Column("parent_kind", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_lineage_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lineage")),
        sa.UniqueConstraint(
            "child_kind",
            "child",
            "parent_kind",
            "parent",
            "role",
            name=op.f("uq_lineage_child_kind_child_parent_kind_parent_role"),
        ),
    )
    op.create_index(op.f("ix_lineage_organisation"), "lineage", ["organisation"], unique=False)
    op.create_index("ix_lineage_parent", "lineage", ["parent_kind", "parent"], unique=False)
    op.create_table(
        "audit",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("detail", Json, nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_audit_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_organisation"), "audit", ["organisation"], unique=False)
    op.create_index("ix_audit_time", "audit", ["organisation", "created_at"], unique=False)
    op.create_table(
        "buckets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buckets")),
    )
    op.create_table(
        "catalogue",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("read_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue")),
    )
