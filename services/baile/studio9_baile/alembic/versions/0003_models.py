"""Schema 1: dataset versions and models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

Time = sa.DateTime(timezone=True)
Word = sa.String(32)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("shapes", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_dataset_versions_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
    )
    op.create_index(op.f("ix_dataset_versions_organisation"), "dataset_versions", ["organisation"], unique=False)
    op.create_table(
        "dataset_manifests",
        sa.Column("dataset_version", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("album", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("shapes", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version"],
            ["dataset_versions.id"],
            name=op.f("fk_dataset_manifests_dataset_version"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_dataset_manifests_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_manifests")),
        sa.UniqueConstraint("dataset_version", "name", name=op.f("uq_dataset_manifests_dataset_version_name")),
    )
    op.create_index(op.f("ix_dataset_manifests_album"), "dataset_manifests", ["album"], unique=False)
    op.create_index(op.f("ix_dataset_manifests_organisation"), "dataset_manifests", ["organisation"], unique=False)
    op.create_table(
        "models",
        sa.Column("in_library", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_models_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_models_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_organisation"), "models", ["organisation"], unique=False)
    op.create_index(op.f("ix_models_owner"), "models", ["owner"], unique=False)
    op.create_index(
        "uq_models_name",
        "models",
        ["organisation", "owner", "name"],
        unique=True,
        sqlite_where=sa.text("in_library"),
        postgresql_where=sa.text("in_library"),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", Word, nullable=False),
        sa.Column("stage", Word, nullable=False),
        sa.Column("framework", sa.String(), nullable=False),
        sa.Column("architecture", sa.String(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("tl_type", sa.String(), nullable=False),
        sa.Column("labels", Json, nullable=True),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("figures", Json, nullable=True),
        sa.Column("feature_extractor", sa.String(), nullable=True),
        sa.Column("dataset_version", sa.String(), nullable=True),
        sa.Column("experiment", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("artifact_key", sa.String(), nullable=True),
        sa.Column("artifact_profile", sa.String(), nullable=True),
        sa.Column("artifact_sha256", sa.String(), nullable=True),
        sa.Column("artifact_size", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version"],
            ["dataset_versions.id"],
            name=op.f("fk_model_versions_dataset_version"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["feature_extractor"],
            ["model_versions.id"],
            name=op.f("fk_model_versions_feature_extractor"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["model"],
            ["models.id"],
            name=op.f("fk_model_versions_model"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_model_versions_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("model", "number", name=op.f("uq_model_versions_model_number")),
    )
    op.create_index(op.f("ix_model_versions_experiment"), "model_versions", ["experiment"], unique=False)
    op.create_index(op.f("ix_model_versions_job"), "model_versions", ["job"], unique=False)
    op.create_index(op.f("ix_model_versions_organisation"), "model_versions", ["organisation"], unique=False)
