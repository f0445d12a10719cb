"""Schema 1: experiments, predictions, deployments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

Time = sa.DateTime(timezone=True)
Word = sa.String(32)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("status", Word, nullable=False),
        sa.Column("pipeline", Json, nullable=False),
        sa.Column("result", Json, nullable=True),
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
            name=op.f("fk_experiments_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_experiments_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("organisation", "owner", "name", name=op.f("uq_experiments_organisation_owner_name")),
    )
    op.create_index(op.f("ix_experiments_organisation"), "experiments", ["organisation"], unique=False)
    op.create_index(op.f("ix_experiments_owner"), "experiments", ["owner"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("status", Word, nullable=False),
        sa.Column("evaluate", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("input", sa.String(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("dataset_version", sa.String(), nullable=True),
        sa.Column("options", Json, nullable=True),
        sa.Column("summary", Json, nullable=True),
        sa.Column("times", Json, nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version"],
            ["dataset_versions.id"],
            name=op.f("fk_predictions_dataset_version"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["input"], ["albums.id"], name=op.f("fk_predictions_input"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["model"], ["models.id"], name=op.f("fk_predictions_model"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["model_version"],
            ["model_versions.id"],
            name=op.f("fk_predictions_model_version"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_predictions_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["output"], ["albums.id"], name=op.f("fk_predictions_output"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_predictions_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.UniqueConstraint("organisation", "owner", "name", name=op.f("uq_predictions_organisation_owner_name")),
    )
    op.create_index(op.f("ix_predictions_input"), "predictions", ["input"], unique=False)
    op.create_index(op.f("ix_predictions_model"), "predictions", ["model"], unique=False)
    op.create_index(op.f("ix_predictions_model_version"), "predictions", ["model_version"], unique=False)
    op.create_index(op.f("ix_predictions_organisation"), "predictions", ["organisation"], unique=False)
    op.create_index(op.f("ix_predictions_output"), "predictions", ["output"], unique=False)
    op.create_index(op.f("ix_predictions_owner"), "predictions", ["owner"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["model"], ["models.id"], name=op.f("fk_deployments_model"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["model_version"],
            ["model_versions.id"],
            name=op.f("fk_deployments_model_version"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_deployments_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["output"], ["albums.id"], name=op.f("fk_deployments_output"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_deployments_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sa.UniqueConstraint("organisation", "owner", "name", name=op.f("uq_deployments_organisation_owner_name")),
    )
    op.create_index(op.f("ix_deployments_model"), "deployments", ["model"], unique=False)
    op.create_index(op.f("ix_deployments_model_version"), "deployments", ["model_version"], unique=False)
    op.create_index(op.f("ix_deployments_organisation"), "deployments", ["organisation"], unique=False)
    op.create_index(op.f("ix_deployments_output"), "deployments", ["output"], unique=False)
    op.create_index(op.f("ix_deployments_owner"), "deployments", ["owner"], unique=False)
