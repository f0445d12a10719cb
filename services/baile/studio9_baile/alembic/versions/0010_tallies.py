"""Tallies of pictures and labels, kept by triggers; indexes for large albums; search by a part of a name."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

COLUMNS = "id, organisation, created_at, album, what, predicted, label, pictures, shapes"
# Pictures, by album.
PICTURES = """
INSERT INTO tallies ({columns}) SELECT gen_random_uuid()::text, organisation, now(), album, 'picture', false, '',
{sign} count(*), 0 FROM changed GROUP BY organisation, album;
"""
# Pictures and shapes with a label, by album and label.
LABELS = """
INSERT INTO tallies ({columns}) SELECT gen_random_uuid()::text, organisation, now(), album, 'label', predicted, label,
{sign} count(*), {sign} sum(count) FROM changed GROUP BY organisation, album, predicted, label;
"""
# Pictures that have got their first label: all labels that they have are new.
FIRST = """
INSERT INTO tallies ({columns}) SELECT gen_random_uuid()::text, organisation, now(), album, 'labelled', predicted, '',
count(*), 0 FROM (SELECT organisation, album, predicted, picture, count(*) AS fresh FROM changed
GROUP BY organisation, album, predicted, picture) AS c WHERE c.fresh = (SELECT count(*) FROM picture_labels AS l
WHERE l.picture = c.picture AND l.predicted = c.predicted) GROUP BY organisation, album, predicted;
"""
# Pictures that have lost their last label.
LAST = """
INSERT INTO tallies ({columns}) SELECT gen_random_uuid()::text, organisation, now(), album, 'labelled', predicted, '',
- count(*), 0 FROM (SELECT DISTINCT organisation, album, predicted, picture FROM changed) AS c WHERE NOT EXISTS
(SELECT 1 FROM picture_labels AS l WHERE l.picture = c.picture AND l.predicted = c.predicted)
GROUP BY organisation, album, predicted;
"""
TIME = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
ROW = "INSERT INTO tallies ({columns}) VALUES (lower(hex(randomblob(16))), {row}.organisation, {time}, {row}.album, "
OTHERS = "SELECT 1 FROM picture_labels WHERE picture = {row}.picture AND predicted = {row}.predicted"


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("album", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("predicted", sa.Boolean(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("pictures", sa.BigInteger(), nullable=False),
        sa.Column("shapes", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.id"],
            name=op.f("fk_tallies_organisation"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tallies")),
    )
    op.create_index(op.f("ix_tallies_organisation"), "tallies", ["organisation"], unique=False)
    op.create_index("ix_tallies_album", "tallies", ["album", "what", "predicted", "label"], unique=False)
    for name, columns in (
        ("ix_pictures_album_filename", ["album", "filename", "id", "organisation"]),
        ("ix_pictures_album_id", ["album", "id", "organisation"]),
    ):
        op.drop_index(name, "pictures")
        op.create_index(name, "pictures", columns, unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def _postgresql() -> None:
    _count_what_is_there("gen_random_uuid()::text", "now()", "false")
    _statement("pictures", "INSERT", "NEW", [PICTURES.format(columns=COLUMNS, sign="")])
    _statement("pictures", "DELETE", "OLD", [PICTURES.format(columns=COLUMNS, sign="-")])
    _statement(
        "picture_labels", "INSERT", "NEW", [LABELS.format(columns=COLUMNS, sign=""), FIRST.format(columns=COLUMNS)]
    )
    _statement(
        "picture_labels", "DELETE", "OLD", [LABELS.format(columns=COLUMNS, sign="-"), LAST.format(columns=COLUMNS)]
    )
    # Without the extension a search reads the whole album: slower, and right.
    op.execute(
        "DO $do$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm;"
        " CREATE INDEX ix_pictures_search ON pictures USING gin (filename gin_trgm_ops);"
        " EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'pg_trgm cannot be used: %', SQLERRM; END $do$"
    )


def _statement(table: str, event: str, which: str, statements: list[str]) -> None:
    """A trigger once a statement; a cascade that finds nothing costs next to nothing."""
    name = f"tally_{table}_{event.lower()}"
    body = "".join(statements)
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
        f" IF NOT EXISTS (SELECT 1 FROM changed) THEN RETURN NULL; END IF; {body} RETURN NULL; END $f$"
    )
    op.execute(
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {which} TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )


def _sqlite() -> None:
    _count_what_is_there("lower(hex(randomblob(16)))", TIME, "0")
    for event, row, sign in (("INSERT", "NEW", ""), ("DELETE", "OLD", "-")):
        head = ROW.format(columns=COLUMNS, row=row, time=TIME)
        op.execute(
            f"CREATE TRIGGER tally_pictures_{event.lower()} AFTER {event} ON pictures BEGIN"
            f" {head} 'picture', 0, '', {sign}1, 0); END"
        )
        op.execute(
            f"CREATE TRIGGER tally_picture_labels_{event.lower()} AFTER {event} ON picture_labels BEGIN"
            f" {head} 'label', {row}.predicted, {row}.label, {sign}1, {sign}{row}.count); END"
        )
        others = OTHERS.format(row=row)
        op.execute(
            f"CREATE TRIGGER tally_labelled_{event.lower()} AFTER {event} ON picture_labels"
            f" WHEN NOT EXISTS ({others} AND id <> {row}.id) BEGIN"
            f" {head} 'labelled', {row}.predicted, '', {sign}1, 0); END"
        )


def _count_what_is_there(identifier: str, now: str, false: str) -> None:
    head = f"INSERT INTO tallies ({COLUMNS}) SELECT {identifier}, organisation, {now}, album,"
    op.execute(f"{head} 'picture', {false}, '', count(*), 0 FROM pictures GROUP BY organisation, album")
    op.execute(
        f"{head} 'label', predicted, label, count(*), sum(count) FROM picture_labels"
        " GROUP BY organisation, album, predicted, label"
    )
    op.execute(
        f"{head} 'labelled', predicted, '', count(DISTINCT picture), 0 FROM picture_labels"
        " GROUP BY organisation, album, predicted"
    )
