"""Statements as the proxy hands them to PostgreSQL."""

import re

import pytest

from studio9_cli.servers.redshift_proxy import dialect, loads

ROLE = "IAM_ROLE 'arn:aws:iam::1:role/r'"


def squeezed(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).replace(" ,", ",").replace(" )", ")").strip()


@pytest.mark.parametrize(
    ("redshift", "postgresql"),
    [
        ("CREATE TABLE t (a INT DISTKEY ENCODE az64, b SUPER)", "CREATE TABLE t (a INT, b jsonb)"),
        (
            "create table t (a VARCHAR(MAX), b varchar, PRIMARY KEY (a)) diststyle all interleaved sortkey (a, b)",
            "create table t (a varchar(65535), b varchar(256))",
        ),
        ("CREATE TABLE t (a INT PRIMARY KEY)", "CREATE TABLE t (a INT NOT NULL)"),
        ("SELECT a::SUPER, JSON_PARSE(b) FROM t", "SELECT a::jsonb, jsonb(b) FROM t"),
        (
            "SELECT 'GETDATE()', \"SYSDATE\" -- ON CONFLICT\n, $$RETURNING$$",
            "SELECT 'GETDATE()', \"SYSDATE\" -- ON CONFLICT, $$RETURNING$$",
        ),
        ("SELECT encode FROM t WHERE super = 1", "SELECT encode FROM t WHERE super = 1"),
    ],
)
def test_rewrites(redshift: str, postgresql: str) -> None:
    assert squeezed(dialect.rewrite(redshift)) == squeezed(postgresql)


@pytest.mark.parametrize("feature", ["ON CONFLICT DO NOTHING", "RETURNING id", "::jsonb", ", UNNEST(a)"])
def test_refuses(feature: str) -> None:
    with pytest.raises(dialect.Refused, match="not supported by Redshift"):
        dialect.rewrite(f"INSERT INTO t SELECT 1 {feature}")


def test_reads_every_part_of_a_copy() -> None:
    copy = loads.read(
        "COPY public.boxes (a, \"b\")\n FROM 's3://bucket/some/key.manifest'\n"
        f"{ROLE} MANIFEST FORMAT AS CSV GZIP IGNOREHEADER AS 2 NULL AS 'it''s' TIMEFORMAT 'auto' COMPUPDATE OFF;"
    )
    assert copy is not None
    assert (copy.table, copy.columns, copy.bucket, copy.key) == (
        "public.boxes",
        ("a", '"b"'),
        "bucket",
        "some/key.manifest",
    )
    assert (copy.manifest, copy.csv, copy.gzip, copy.skip_lines) == (True, True, True, 2)
    assert copy.statement() == (
        "COPY public.boxes (a, \"b\") FROM STDIN WITH (FORMAT csv, DELIMITER ',', NULL 'it''s')"
    )


def test_text_format_has_redshifts_delimiter() -> None:
    copy = loads.read(f"copy t from 's3://b/k' {ROLE}")
    assert copy is not None and copy.statement() == "COPY t FROM STDIN WITH (FORMAT text, DELIMITER '|')"


@pytest.mark.parametrize(
    ("clause", "keys"),
    [
        (ROLE, {}),
        ("IAM_ROLE default", {}),
        ("ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 's'", {"access_key": "a", "secret_key": "s"}),
        ("CREDENTIALS 'aws_access_key_id=a;aws_secret_access_key=s'", {"access_key": "a", "secret_key": "s"}),
    ],
)
def test_credentials(clause: str, keys: dict[str, str]) -> None:
    copy = loads.read(f"COPY t FROM 's3://b/k' {clause} CSV")
    assert copy is not None and copy.credentials == keys


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (f"COPY t FROM 's3://b/k' {ROLE} CSV SIDEWAYS", "SIDEWAYS"),
        (f"COPY t FROM 's3://b/k' {ROLE} MAXERROR 5", "MAXERROR"),
        ("COPY t FROM 's3://b/k' CSV", "IAM_ROLE"),
        (f"COPY t FROM '/etc/passwd' {ROLE}", "s3://"),
    ],
)
def test_refuses_bad_copies(sql: str, reason: str) -> None:
    with pytest.raises(loads.BadCopy, match=reason):
        loads.read(sql)


def test_other_statements_are_no_loads() -> None:
    assert loads.read("SELECT 'COPY t FROM s3'") is None
