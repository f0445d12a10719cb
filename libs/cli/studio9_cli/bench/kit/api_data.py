"""Very many pictures in one organisation, written by the database itself."""

from dataclasses import dataclass

import asyncpg

LABELS = 20
SMALL = 100
"""Albums beside the large one; each has a thousandth of all pictures."""

_ID = "'01900000-0000-7000-8{kind}00-' || lpad(to_hex({n}), 12, '0')"
_ALBUM = _ID.format(kind=1, n=f"CASE WHEN n % 1000 < {SMALL} THEN n % 1000 + 1 ELSE 0 END")
_LABEL = f"'label ' || lpad(floor(power(n::bigint * 7919 % 1000, 2) * {LABELS} / 1000000)::text, 2, '0')"
"""The first label is on many pictures, the last on few."""
_HEAD = "SELECT {id}, $1::text, now() - interval '1 day'"


@dataclass(frozen=True, slots=True)
class Filled:
    """The large album, and how many pictures there are in all."""

    album: str
    pictures: int


async def fill(url: str, organisation: str, owner: str, pictures: int) -> Filled:
    """Writes albums, pictures (a tenth of them without labels), revisions and labels. Triggers and checks rest
    meanwhile; the tallies are made afterwards as the migration makes them."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(
            "INSERT INTO albums (id, organisation, created_at, owner, name, updated_at, status, type, label_mode,"
            f" in_library) {_HEAD.format(id=_ID.format(kind=1, n='n'))}, $2, 'album ' || n, now(), 'ACTIVE', 'SOURCE',"
            f" 'LOCALIZATION', true FROM generate_series(0, {SMALL}) AS n",
            organisation,
            owner,
        )
        numbers = f"FROM generate_series(1, {pictures}) AS n"
        picture, revision = _ID.format(kind=2, n="n"), _ID.format(kind=3, n="n")
        await connection.execute(
            "INSERT INTO pictures (id, organisation, created_at, album, sha256, key, profile, content_type, size,"
            f" width, height, filename, label_revision) {_HEAD.format(id=picture)}, {_ALBUM}, md5(n::text) ||"
            " md5(n::text), $1::text || '/pictures/' || md5(n::text) || md5(n::text), 'default', 'image/png', 3000, 64,"
            f" 64, 'shot_' || lpad(((n::bigint * 48271) % 2147483647)::text, 10, '0') || '.png', {revision} {numbers}",
            organisation,
        )
        shape = (
            f"jsonb_build_array(jsonb_build_object('kind', 'box', 'label', {_LABEL}, 'left', 1, 'top', 1, 'width', 9,"
            " 'height', 9))"
        )
        await connection.execute(
            "INSERT INTO label_revisions (id, organisation, created_at, picture, number, shapes, source)"
            f" {_HEAD.format(id=revision)}, {picture}, 1, CASE WHEN n % 10 = 0 THEN '[]'::jsonb ELSE {shape} END,"
            f" 'human' {numbers}",
            organisation,
        )
        await connection.execute(
            "INSERT INTO picture_labels (id, organisation, created_at, picture, album, predicted, label, count)"
            f" {_HEAD.format(id=_ID.format(kind=4, n='n'))}, {picture}, {_ALBUM}, false, {_LABEL}, 1 {numbers}"
            " WHERE n % 10 <> 0",
            organisation,
        )
        await _tally(connection)
        for table in ("albums", "pictures", "label_revisions", "picture_labels", "tallies"):
            await connection.execute(f"VACUUM ANALYZE {table}")
        large = await connection.fetchval(f"SELECT {_ID.format(kind=1, n='0')}")
        return Filled(large, pictures)
    finally:
        await connection.close()


async def _tally(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    head = (
        "INSERT INTO tallies (id, organisation, created_at, album, what, predicted, label, pictures, shapes)"
        " SELECT gen_random_uuid()::text, organisation, now(), album,"
    )
    await connection.execute(
        f"{head} 'picture', false, '', count(*), 0 FROM pictures WHERE filename LIKE 'shot%'"
        " GROUP BY organisation, album"
    )
    await connection.execute(
        f"{head} 'label', predicted, label, count(*), sum(count) FROM picture_labels"
        " GROUP BY organisation, album, predicted, label"
    )
    await connection.execute(
        f"{head} 'labelled', predicted, '', count(DISTINCT picture), 0 FROM picture_labels"
        " GROUP BY organisation, album, predicted"
    )
