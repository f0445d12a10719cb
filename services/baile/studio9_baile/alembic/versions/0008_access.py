"""Five roles; refresh tokens, personal access tokens, idempotency keys, notifications and how they go out."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    # The first administrator of each organisation has made it.
    op.execute(
        "UPDATE users SET role = 'owner' WHERE role = 'ADMIN' AND NOT EXISTS (SELECT 1 FROM users AS o WHERE"
        " o.organisation = users.organisation AND o.role IN ('ADMIN', 'owner') AND o.id < users.id)"
    )
    op.execute("UPDATE users SET role = CASE role WHEN 'ADMIN' THEN 'admin' WHEN 'USER' THEN 'editor' ELSE role END")
    _table(
        "refresh_tokens",
        sa.Column("sign_in", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("used_at", Time, nullable=True),
        _reference("refresh_tokens", "sign_in", "sign_ins.id"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_tokens_token_hash")),
        indexed=("sign_in",),
    )
    _table(
        "access_tokens",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("revoked_at", Time, nullable=True),
        sa.Column("used_at", Time, nullable=True),
        _reference("access_tokens", "user", "users.id"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_tokens_token_hash")),
        indexed=("user",),
    )
    _table(
        "idempotency_keys",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("content_type", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.UniqueConstraint("organisation", "user", "key", name=op.f("uq_idempotency_keys_organisation_user_key")),
    )
    _table(
        "notifications",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("read_at", Time, nullable=True),
        _reference("notifications", "user", "users.id"),
        sa.UniqueConstraint("user", "subject", "about", name=op.f("uq_notifications_user_subject_about")),
    )
    _table(
        "webhooks",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("ended_at", Time, nullable=True),
        _reference("webhooks", "user", "users.id"),
        indexed=("user",),
    )
    _table(
        "deliveries",
        sa.Column("notification", sa.String(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("next_at", Time, nullable=False),
        sa.Column("settled_at", Time, nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        _reference("deliveries", "notification", "notifications.id"),
        _reference("deliveries", "webhook", "webhooks.id"),
        indexed=("notification", "webhook"),
    )
    op.create_index("ix_deliveries_waiting", "deliveries", ["settled_at", "next_at"], unique=False)


def _table(name: str, *parts: Any, indexed: tuple[str, ...] = ()) -> None:
    """A table of rows that belong to an organisation."""
    op.create_table(
        name,
        *parts,
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        _reference(name, "organisation", "organisations.id", cascade=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )
    for column in ("organisation", *indexed):
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)


def _reference(table: str, column: str, target: str, *, cascade: bool = True) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [target],
        name=op.f(f"fk_{table}_{column}"),
        ondelete="CASCADE" if cascade else None,
        initially="DEFERRED",
        deferrable=True,
    )
