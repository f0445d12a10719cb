"""Revisions of what people edit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"

EDITED = (
    "users", "projects", "albums", "models", "experiments", "predictions", "deployments", "file_sets", "online_apis",
)  # fmt: skip


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # what was written before is checked now: then tables can be changed
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")
        op.execute("SET CONSTRAINTS ALL DEFERRED")
    json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    for table in EDITED:
        op.add_column(table, sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        op.add_column(table, sa.Column("edits", json, nullable=True))
