"""Schema 1: projects, folders, links, shares."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "projects",
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
            name=op.f("fk_projects_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_projects_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("organisation", "owner", "name", name=op.f("uq_projects_organisation_owner_name")),
    )
    op.create_index(op.f("ix_projects_organisation"), "projects", ["organisation"], unique=False)
    op.create_index(op.f("ix_projects_owner"), "projects", ["owner"], unique=False)
    op.create_table(
        "folders",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_folders_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["project"],
            ["projects.id"],
            name=op.f("fk_folders_project"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint("project", "path", name=op.f("uq_folders_project_path")),
    )
    op.create_index(op.f("ix_folders_organisation"), "folders", ["organisation"], unique=False)
    op.create_table(
        "project_links",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["folder"],
            ["folders.id"],
            name=op.f("fk_project_links_folder"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_project_links_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["project"],
            ["projects.id"],
            name=op.f("fk_project_links_project"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_links")),
        sa.UniqueConstraint("project", "kind", "asset", name=op.f("uq_project_links_project_kind_asset")),
    )
    op.create_index("ix_project_links_asset", "project_links", ["kind", "asset"], unique=False)
    op.create_index(op.f("ix_project_links_organisation"), "project_links", ["organisation"], unique=False)
    op.create_table(
        "shares",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=True),
        sa.Column("recipient_email", sa.String(), nullable=True),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_shares_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_shares_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.ForeignKeyConstraint(
            ["recipient"], ["users.id"], name=op.f("fk_shares_recipient"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    op.create_index("ix_shares_asset", "shares", ["kind", "asset"], unique=False)
    op.create_index(op.f("ix_shares_organisation"), "shares", ["organisation"], unique=False)
    op.create_index(op.f("ix_shares_owner"), "shares", ["owner"], unique=False)
    op.create_index(op.f("ix_shares_recipient"), "shares", ["recipient"], unique=False)
    op.create_index(op.f("ix_shares_recipient_email"), "shares", ["recipient_email"], unique=False)
