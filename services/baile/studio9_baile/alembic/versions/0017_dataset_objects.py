"""Which objects dataset versions hold; their tiles count in bytes; a dataset version can be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

COUNTED = sa.text("what IN ('picture', 'file', 'tile')")


def upgrade() -> None:
    op.add_column("dataset_versions", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("dataset_versions", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "dataset_objects",
        sa.Column("dataset_version", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_dataset_objects_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_objects")),
        sa.UniqueConstraint("dataset_version", "sha256", name=op.f("uq_dataset_objects_dataset_version_sha256")),
    )
    for column in ("organisation", "sha256"):
        op.create_index(op.f(f"ix_dataset_objects_{column}"), "dataset_objects", [column], unique=False)
    if op.get_bind().dialect.name == "postgresql":  # what was counted in this transaction is checked first, as in 0011
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")
        op.execute("SET CONSTRAINTS ALL DEFERRED")
    op.drop_index("ix_tallies_usage", "tallies")
    op.create_index(
        "ix_tallies_usage", "tallies", ["organisation", "what"], sqlite_where=COUNTED, postgresql_where=COUNTED
    )
