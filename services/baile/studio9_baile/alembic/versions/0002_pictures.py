"""Schema 1: albums, pictures, labels, predicted shapes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

Time = sa.DateTime(timezone=True)
Word = sa.String(32)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "albums",
        sa.Column("status", Word, nullable=False),
        sa.Column("type", Word, nullable=False),
        sa.Column("label_mode", Word, nullable=False),
        sa.Column("in_library", sa.Boolean(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
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
            name=op.f("fk_albums_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name=op.f("fk_albums_owner"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_albums")),
    )
    op.create_index(op.f("ix_albums_organisation"), "albums", ["organisation"], unique=False)
    op.create_index(op.f("ix_albums_owner"), "albums", ["owner"], unique=False)
    op.create_index(
        "uq_albums_name",
        "albums",
        ["organisation", "owner", "name"],
        unique=True,
        sqlite_where=sa.text("in_library"),
        postgresql_where=sa.text("in_library"),
    )
    op.create_table(
        "pictures",
        sa.Column("album", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("caption", sa.String(), nullable=True),
        sa.Column("predicted_caption", sa.String(), nullable=True),
        sa.Column("original", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("augmentations", Json, nullable=True),
        sa.Column("label_revision", sa.String(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["album"],
            ["albums.id"],
            name=op.f("fk_pictures_album"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_pictures_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("album", "source", name=op.f("uq_pictures_album_source")),
    )
    op.create_index("ix_pictures_album_filename", "pictures", ["album", "filename"], unique=False)
    op.create_index("ix_pictures_album_id", "pictures", ["album", "id"], unique=False)
    op.create_index(op.f("ix_pictures_organisation"), "pictures", ["organisation"], unique=False)
    op.create_index(op.f("ix_pictures_sha256"), "pictures", ["sha256"], unique=False)
    op.create_table(
        "label_revisions",
        sa.Column("picture", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("shapes", Json, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_label_revisions_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_revisions")),
        sa.UniqueConstraint("picture", "number", name=op.f("uq_label_revisions_picture_number")),
    )
    op.create_index(op.f("ix_label_revisions_organisation"), "label_revisions", ["organisation"], unique=False)
    op.create_table(
        "picture_labels",
        sa.Column("picture", sa.String(), nullable=False),
        sa.Column("album", sa.String(), nullable=False),
        sa.Column("predicted", sa.Boolean(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["album"],
            ["albums.id"],
            name=op.f("fk_picture_labels_album"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_picture_labels_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["picture"],
            ["pictures.id"],
            name=op.f("fk_picture_labels_picture"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_picture_labels")),
        sa.UniqueConstraint("picture", "predicted", "label", name=op.f("uq_picture_labels_picture_predicted_label")),
    )
    op.create_index("ix_picture_labels_album_label", "picture_labels", ["album", "predicted", "label"], unique=False)
    op.create_index(op.f("ix_picture_labels_organisation"), "picture_labels", ["organisation"], unique=False)
    op.create_table(
        "predicted_shapes",
        sa.Column("prediction", sa.String(), nullable=False),
        sa.Column("picture", sa.String(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("shape", Json, nullable=False),
        sa.Column("scores", Json, nullable=True),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_predicted_shapes_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["picture"],
            ["pictures.id"],
            name=op.f("fk_predicted_shapes_picture"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predicted_shapes")),
        sa.UniqueConstraint("picture", "prediction", name=op.f("uq_predicted_shapes_picture_prediction")),
    )
    op.create_index(op.f("ix_predicted_shapes_model_version"), "predicted_shapes", ["model_version"], unique=False)
    op.create_index(op.f("ix_predicted_shapes_organisation"), "predicted_shapes", ["organisation"], unique=False)
    op.create_index(op.f("ix_predicted_shapes_prediction"), "predicted_shapes", ["prediction"], unique=False)
    op.create_table(
        "label_imports",
        sa.Column("album", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("report", Json, nullable=False),
        sa.Column("finished_at", Time, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["album"],
            ["albums.id"],
            name=op.f("fk_label_imports_album"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_label_imports_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_imports")),
    )
    op.create_index(op.f("ix_label_imports_album"), "label_imports", ["album"], unique=False)
    op.create_index(op.f("ix_label_imports_organisation"), "label_imports", ["organisation"], unique=False)
