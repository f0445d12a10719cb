"""Bytes beside the numbers of pictures, and the same of files: what an organisation uses, known without counting."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

COLUMNS = "id, organisation, created_at, album, what, predicted, label, pictures, shapes, bytes"
COUNTED = (("pictures", "album", "picture"), ("stored_files", "file_set", "file"))
"""Tables, whose rows they belong to, and what they are called in tallies."""
TIME = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:  # what 0010 has counted in this transaction is checked now: then the table can be changed
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")
        op.execute("SET CONSTRAINTS ALL DEFERRED")
    op.add_column("tallies", sa.Column("bytes", sa.BigInteger(), nullable=False, server_default="0"))
    where = sa.text("what IN ('picture', 'file')")
    op.create_index("ix_tallies_usage", "tallies", ["organisation", "what"], sqlite_where=where, postgresql_where=where)
    identifier, now, false = (
        ("gen_random_uuid()::text", "now()", "false") if postgresql else ("lower(hex(randomblob(16)))", TIME, "0")
    )
    for table, album, what in COUNTED:
        number = "0" if what == "picture" else "count(*)"  # pictures are counted already
        op.execute(
            f"INSERT INTO tallies ({COLUMNS}) SELECT {identifier}, organisation, {now}, {album}, '{what}', {false}, '',"
            f" {number}, 0, sum(size) FROM {table} GROUP BY organisation, {album}"
        )
        for event, row, sign in (("INSERT", "NEW", ""), ("DELETE", "OLD", "-")):
            name = f"tally_{table}_{event.lower()}"
            if postgresql:
                _postgresql(
                    name, table, event, row, f"{album}, '{what}', false, '', {sign} count(*), 0, {sign} sum(size)"
                )
            else:
                op.execute(f"DROP TRIGGER IF EXISTS {name}")
                op.execute(
                    f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN INSERT INTO tallies ({COLUMNS}) VALUES"
                    f" ({identifier}, {row}.organisation, {now}, {row}.{album}, '{what}', 0, '', {sign}1, 0,"
                    f" {sign}{row}.size); END"
                )


def _postgresql(name: str, table: str, event: str, row: str, values: str) -> None:
    """A trigger once a statement; a cascade that finds nothing costs next to nothing."""
    album = values.partition(",")[0]
    op.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
        " IF NOT EXISTS (SELECT 1 FROM changed) THEN RETURN NULL; END IF;"
        f" INSERT INTO tallies ({COLUMNS}) SELECT gen_random_uuid()::text, organisation, now(), {values}"
        f" FROM changed GROUP BY organisation, {album}; RETURN NULL; END $f$"
    )
    op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    op.execute(
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {row} TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )
