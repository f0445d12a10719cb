"""Redshift's own driver through the proxy: SQL, loads from real S3 in the client's transaction, errors in step."""

import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
import redshift_connector
from botocore.config import Config

ROLE = "IAM_ROLE 'arn:aws:iam::123456789012:role/loader'"
CSV = f"{ROLE} FORMAT AS CSV GZIP IGNOREHEADER 1 TIMEFORMAT 'auto' EMPTYASNULL"


@pytest.fixture
def connection(redshift_url: str) -> Iterator[Any]:
    url = urlsplit(redshift_url)
    with redshift_connector.connect(
        host=url.hostname,
        port=url.port,
        database=url.path.lstrip("/"),
        user=url.username,
        password=url.password,
        ssl=False,
    ) as opened:
        yield opened


@pytest.fixture
def table(connection: Any) -> str:
    name = f"boxes_{uuid.uuid4().hex[:8]}"
    connection.cursor().execute(
        f"""CREATE TABLE {name} (
            id BIGINT NOT NULL IDENTITY(1, 1) ENCODE az64, picture VARCHAR(64) NOT NULL DISTKEY ENCODE zstd,
            confidence DOUBLE PRECISION, scores SUPER, made TIMESTAMPTZ, PRIMARY KEY (picture)
        ) DISTSTYLE KEY COMPOUND SORTKEY (made, picture)"""
    )
    connection.commit()
    return name


class Bucket:
    """A bucket of its own on the S3 server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = f"loads-{uuid.uuid4().hex[:8]}"
        self.access, self.secret = parts.username, parts.password
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{parts.hostname}:{parts.port}",
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket=self.name)

    def put(self, key: str, text: str) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=gzip.compress(text.encode()))
        return f"s3://{self.name}/{key}"

    def manifest(self, key: str, *urls: str) -> str:
        body = json.dumps({"entries": [{"url": url, "mandatory": True} for url in urls]})
        self.client.put_object(Bucket=self.name, Key=key, Body=body.encode())
        return f"s3://{self.name}/{key}"


@pytest.fixture
def bucket(s3_url: str) -> Bucket:
    return Bucket(s3_url)


def part(first: int, count: int) -> str:
    lines = ["picture,confidence,scores,made"]
    lines += [
        f'"p ""{n}"", yes",{"" if n == first else n / 1000},"{{""cat"": {n}}}",2026-01-02T03:04:05.000006Z'
        for n in range(first, first + count)
    ]
    return "\n".join(lines)


def count(connection: Any, table: str) -> int:
    cursor = connection.cursor()
    cursor.execute(f"SELECT count(*) FROM {table}")
    return int(cursor.fetchone()[0])


def test_driver_connects_and_reads_types(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT %s::int + 1, 'GETDATE()', GETDATE() > '2020-01-01', JSON_PARSE('[1]')", (41,))
    assert cursor.fetchone()[:3] == [42, "GETDATE()", True]


def test_manifest_loads_every_part_once(connection: Any, table: str, bucket: Bucket) -> None:
    parts = [bucket.put("out/1.csv.gz", part(0, 1200)), bucket.put("out/2.csv.gz", part(1200, 300))]
    manifest = bucket.manifest("out/manifest", *parts)
    bucket.put("out/3-not-in-the-manifest.csv.gz", part(9000, 10))
    cursor = connection.cursor()
    cursor.execute(f"COPY {table} (picture, confidence, scores, made) FROM '{manifest}' MANIFEST {CSV}")
    cursor.execute("SELECT pg_last_copy_count()")
    assert cursor.fetchone()[0] == 1500
    cursor.execute(f"SELECT picture, confidence, scores, made FROM {table} WHERE id IN (1, 1201) ORDER BY id")
    first, second = cursor.fetchall()
    assert first[:2] == ['p "0", yes', None] and second[1] is None
    assert first[3].isoformat() == "2026-01-02T03:04:05.000006+00:00"
    connection.commit()
    assert count(connection, table) == 1500


def test_count_is_of_the_last_load_even_for_a_cached_statement(connection: Any, table: str, bucket: Bucket) -> None:
    cursor = connection.cursor()
    for rows in (3, 5):
        url = bucket.put(f"{rows}.csv.gz", part(0, rows))
        cursor.execute(f"COPY {table} (picture, confidence, scores, made) FROM '{url}' {CSV}")
        cursor.execute("SELECT pg_last_copy_count()")
        assert cursor.fetchone()[0] == rows


def test_rollback_undoes_a_load(connection: Any, table: str, bucket: Bucket) -> None:
    url = bucket.put("a.csv.gz", part(0, 10))
    connection.cursor().execute(f"COPY {table} (picture, confidence, scores, made) FROM '{url}' {CSV}")
    assert count(connection, table) == 10
    connection.rollback()
    assert count(connection, table) == 0


def test_prefix_and_own_keys(connection: Any, table: str, bucket: Bucket) -> None:
    for n in range(3):
        bucket.put(f"p/{n}.csv.gz", part(n * 10, 10))
    keys = f"ACCESS_KEY_ID '{bucket.access}' SECRET_ACCESS_KEY '{bucket.secret}' CSV GZIP IGNOREHEADER AS 1"
    connection.cursor().execute(f"COPY {table} (picture, confidence, scores, made) FROM 's3://{bucket.name}/p/' {keys}")
    assert count(connection, table) == 30


BROKEN = {
    "missing part": (["gone.csv.gz"], CSV + " MANIFEST", "gone.csv.gz"),
    "bad row": (["bad.csv.gz"], CSV + " MANIFEST", "invalid input syntax for type double precision"),
    "not gzip": (["plain.csv"], CSV + " MANIFEST", "plain.csv"),
    "unknown option": (["good.csv.gz"], CSV + " MANIFEST SIDEWAYS", "SIDEWAYS"),
    "no credentials": (["good.csv.gz"], "CSV MANIFEST", "IAM_ROLE"),
    "wrong keys": (["good.csv.gz"], "ACCESS_KEY_ID 'nobody' SECRET_ACCESS_KEY 'x' CSV MANIFEST", "InvalidAccessKeyId"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_failed_load_reports_and_leaves_the_connection_usable(
    connection: Any, table: str, bucket: Bucket, case: str
) -> None:
    names, options, reason = BROKEN[case]
    bucket.put("good.csv.gz", part(0, 2))
    bucket.put("bad.csv.gz", part(0, 5000) + '\n"x",abc,"{}",2026-01-02T03:04:05Z')
    bucket.client.put_object(Bucket=bucket.name, Key="plain.csv", Body=b"picture\nx\n")
    manifest = bucket.manifest("m", f"s3://{bucket.name}/good.csv.gz", *(f"s3://{bucket.name}/{n}" for n in names))
    with pytest.raises(redshift_connector.ProgrammingError) as raised:
        connection.cursor().execute(f"COPY {table} (picture, confidence, scores, made) FROM '{manifest}' {options}")
    assert reason in str(raised.value)
    connection.rollback()
    assert count(connection, table) == 0
    good = f"s3://{bucket.name}/good.csv.gz"
    connection.cursor().execute(f"COPY {table} (picture, confidence, scores, made) FROM '{good}' {CSV}")
    assert count(connection, table) == 2


def test_missing_table_is_reported(connection: Any, bucket: Bucket) -> None:
    url = bucket.put("a.csv.gz", part(0, 1))
    with pytest.raises(redshift_connector.ProgrammingError, match="no_such_table"):
        connection.cursor().execute(f"COPY no_such_table FROM '{url}' {CSV}")
    connection.rollback()
    assert count(connection, "pg_database") > 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {table} (picture) VALUES (%s) ON CONFLICT DO NOTHING",
        "INSERT INTO {table} (picture) VALUES (%s) RETURNING id",
        "CREATE INDEX ON {table} (picture)",
    ],
)
def test_refuses_what_redshift_refuses(connection: Any, table: str, statement: str) -> None:
    values = ("x",) if "%s" in statement else None
    with pytest.raises(redshift_connector.ProgrammingError, match="not supported by Redshift"):
        connection.cursor().execute(statement.format(table=table), values)
    connection.rollback()
    assert count(connection, table) == 0


def test_keys_are_not_enforced(connection: Any, table: str) -> None:
    cursor = connection.cursor()
    for _ in range(2):
        cursor.execute(f"INSERT INTO {table} (picture) VALUES ('same')")
    assert count(connection, table) == 2


def test_simple_queries_load_too(redshift_url: str, bucket: Bucket) -> None:
    """libpq sends statements without parameters as simple queries, the driver never does."""
    url = bucket.put("a.csv.gz", "n\n1\n2\n3\n")
    with psycopg.connect(redshift_url.replace("redshift://", "postgresql://"), autocommit=True) as opened:
        opened.execute("CREATE TEMP TABLE numbers (n INT SORTKEY)")
        for expected in (3, 6):
            opened.execute(f"COPY numbers FROM '{url}' {CSV}".encode())
            assert opened.execute("SELECT count(*) FROM numbers").fetchone() == (expected,)
        assert opened.execute("SELECT pg_last_copy_count()").fetchone() == (3,)
        with pytest.raises(psycopg.errors.InternalError_, match="does not exist"):
            opened.execute(f"COPY numbers FROM 's3://{bucket.name}/none' {CSV}".encode())
        assert opened.execute("SELECT count(*) FROM numbers").fetchone() == (6,)
