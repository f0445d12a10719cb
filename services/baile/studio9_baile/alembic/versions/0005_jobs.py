"""Schema 1: processes, outbox, events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

Time = sa.DateTime(timezone=True)
Word = sa.String(32)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("job_type", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("context", Json, nullable=False),
        sa.Column("status", Word, nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("remaining_s", sa.Double(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=True),
        sa.Column("metrics", Json, nullable=True),
        sa.Column("metrics_epoch", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("cancel_requested_at", Time, nullable=True),
        sa.Column("started_at", Time, nullable=True),
        sa.Column("ended_at", Time, nullable=True),
        sa.Column("seen_at", sa.String(), nullable=True),
        sa.Column("progress_seen_at", sa.String(), nullable=True),
        sa.Column("ended", Json, nullable=True),
        sa.Column("result_state", Word, nullable=False),
        sa.Column("cursor", Json, nullable=True),
        sa.Column("fill_failures", sa.Integer(), nullable=False),
        sa.Column("fill_after", Time, nullable=True),
        sa.Column("outputs", Json, nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_processes_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_processes_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    op.create_index(op.f("ix_processes_organisation"), "processes", ["organisation"], unique=False)
    op.create_index(op.f("ix_processes_owner"), "processes", ["owner"], unique=False)
    op.create_index("ix_processes_result", "processes", ["result_state", "fill_after"], unique=False)
    op.create_index(op.f("ix_processes_status"), "processes", ["status"], unique=False)
    op.create_index("ix_processes_target", "processes", ["target", "target_id", "created_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("routing_key", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("next_at", Time, nullable=False),
        sa.Column("settled_at", Time, nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_outbox_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_job"), "outbox", ["job"], unique=False)
    op.create_index(op.f("ix_outbox_organisation"), "outbox", ["organisation"], unique=False)
    op.create_index("ix_outbox_waiting", "outbox", ["settled_at", "next_at"], unique=False)
    op.create_table(
        "config_writes",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", Json, nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("next_at", Time, nullable=False),
        sa.Column("settled_at", Time, nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_config_writes_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_writes")),
    )
    op.create_index(op.f("ix_config_writes_organisation"), "config_writes", ["organisation"], unique=False)
    op.create_index("ix_config_writes_waiting", "config_writes", ["settled_at", "next_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=True),
        sa.Column("data", Json, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_events_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("organisation", "number", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_created_at"), "events", ["created_at"], unique=False)
