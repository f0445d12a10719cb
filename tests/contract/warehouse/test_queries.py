"""What the warehouse port promises about reading: one statement, read-only, one organisation's rows."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio9_common.contracts.predictions import COLUMNS
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_common.objects.port import Objects
from studio9_common.warehouse.port import Load, Part, QueryFailed, QueryRefused, Warehouse

HEADER = ",".join(column.name for column in COLUMNS)


@pytest.fixture
async def organisation(warehouse: Warehouse, objects: Objects) -> str:
    """With three rows: two cats and a dog. Another organisation has one, a secret."""
    other, mine = new_id(), new_id()
    await fill(warehouse, objects, other, ["secret"])
    await fill(warehouse, objects, mine, ["cat", "dog", "cat"])
    return mine


async def fill(warehouse: Warehouse, objects: Objects, organisation: str, labels: list[str]) -> None:
    job = new_id()
    lines = [HEADER]
    for number, label in enumerate(labels):
        boxes = f"{number},{label},0.{number + 5},1,2,3,4,,m,mv,,,{job},1,1,,,c,2026-11-2{number}T10:00:00.000000Z"
        lines.append(f"{job}{number},{organisation},batch,p{number},v,a%b.png,{boxes}")
    info = await objects.put(f"{organisation}/jobs/{job}/part", gzip.compress("\n".join(lines).encode() + b"\n"))
    part = Part(info.key, info.sha256 or "", info.size, len(labels))
    await warehouse.load(Load(organisation, job, "predictions", "0" * 64, [part], len(labels)))


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT label, count(*) FROM predictions GROUP BY label ORDER BY label", [["cat", 2], ["dog", 1]]),
        ("WITH best AS (SELECT * FROM predictions WHERE confidence > 0.55) SELECT count(*) FROM best", [[2]]),
        (
            "SELECT a.label FROM predictions a JOIN predictions b ON a.box_index = b.box_index + 1 ORDER BY 1 DESC",
            [["dog"], ["cat"]],
        ),
        ("SELECT count(*) FROM predictions p WHERE p.picture_filename LIKE 'a%b%'", [[3]]),
        ("SELECT label FROM predictions WHERE confidence = (SELECT max(confidence) FROM predictions)", [["cat"]]),
        (
            "SELECT label, row_number() OVER (PARTITION BY label ORDER BY confidence) n FROM predictions ORDER BY 1, 2",
            [["cat", 1], ["cat", 2], ["dog", 1]],
        ),
        (
            "SELECT date_trunc('day', predicted_at) AS d FROM predictions WHERE label = 'dog'",
            [["2026-11-21T00:00:00.000000Z"]],
        ),
        ('SELECT "commit", width_px * height_px FROM predictions LIMIT 1', [["c", 12.0]]),
        ("SELECT upper(label) FROM predictions WHERE label = 'dog' UNION SELECT 'x' ORDER BY 1", [["DOG"], ["x"]]),
        ("-- a comment\nSELECT 1 /* another */ ;", [[1]]),
        ("SELECT CASE WHEN count(*) = 3 THEN round(avg(confidence) * 10) ELSE 0 END FROM predictions", [[6]]),
        ("SELECT 'it''s; DROP TABLE predictions --'", [["it's; DROP TABLE predictions --"]]),
    ],
)
async def test_analysts_can_ask(warehouse: Warehouse, organisation: str, sql: str, rows: list[list[object]]) -> None:
    assert (await warehouse.query(organisation, sql)).rows == rows


REFUSED = [
    "",
    "   ;  ",
    "not sql at all (",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE studio9.prediction_rows",
    "DELETE FROM predictions",
    "UPDATE predictions SET label = 'x'",
    "INSERT INTO predictions (label) VALUES ('x')",
    "DROP VIEW predictions",
    "TRUNCATE studio9.prediction_rows",
    "CREATE TABLE mine AS SELECT * FROM predictions",
    "SELECT * INTO mine FROM predictions",
    "WITH gone AS (DELETE FROM predictions RETURNING *) SELECT * FROM gone",
    "SELECT * FROM predictions FOR UPDATE",
    "COPY (SELECT 1) TO '/tmp/out'",
    "COPY predictions FROM PROGRAM 'id'",
    "UNLOAD ('SELECT 1') TO 's3://b/k'",
    "SET ROLE studio9",
    "BEGIN",
    "COMMIT",
    "ROLLBACK; SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "VACUUM",
    "CALL something()",
    "DO $$ BEGIN END $$",
    "GRANT ALL ON studio9.prediction_rows TO public",
    "ATTACH '/tmp/x.db' AS x",
    "PRAGMA database_list",
    "INSTALL httpfs",
    # other tables, other organisations, the system's own
    "SELECT * FROM studio9.prediction_rows",
    "SELECT * FROM prediction_rows",
    "SELECT * FROM studio9.predictions",
    "SELECT * FROM predictions, studio9.prediction_loads",
    "SELECT (SELECT count(*) FROM prediction_rows)",
    "SELECT * FROM predictions WHERE label IN (SELECT label FROM studio9.prediction_rows)",
    "SELECT 1 UNION ALL SELECT 2 FROM prediction_rows",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_class",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM sqlite_master",
    "WITH predictions AS (SELECT * FROM studio9.prediction_rows) SELECT * FROM predictions",
    "WITH predictions AS (SELECT 1) SELECT * FROM predictions",
    # functions that read files, run text as SQL, change settings, wait
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT query_to_xml('SELECT * FROM studio9.prediction_rows', true, true, '')",
    "SELECT set_config('role', 'studio9', true)",
    "SELECT pg_catalog.set_config('role', 'studio9', true)",
    "SELECT \"set_config\"('role', 'studio9', true)",
    "SELECT current_setting('is_superuser')",
    "SELECT * FROM dblink('x', 'SELECT 1') AS t(a int)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_sleep(100)",
    "SELECT pg_terminate_backend(1)",
    "SELECT nextval('x')",
    "SELECT getenv('HOME')",
    "SELECT current_user",
    "SELECT version()",
    "SELECT E'\\x27'",
    "SELECT $1",
    "SELECT ?",
    "SELECT 'a\x00b'",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT '" + "x" * 70_000 + "'",
]


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: sql[:60])
async def test_everything_but_reading_predictions_is_refused(warehouse: Warehouse, organisation: str, sql: str) -> None:
    with pytest.raises(QueryRefused):
        await warehouse.query(organisation, sql)
    assert (await warehouse.query(organisation, "SELECT count(*) FROM predictions")).rows == [[3]]


async def test_a_name_of_one_part_opens_no_table_in_another(warehouse: Warehouse, organisation: str) -> None:
    for table in ("prediction_rows", "pg_class", "duckdb_tables"):
        hidden = f"SELECT * FROM {table} WHERE EXISTS (WITH {table} AS (SELECT 1) SELECT 1)"
        with pytest.raises(QueryFailed):
            await warehouse.query(organisation, hidden)


async def test_other_organisations_rows_cannot_be_seen(warehouse: Warehouse, organisation: str) -> None:
    for sql in (
        "SELECT label FROM predictions",
        "SELECT label FROM predictions WHERE organisation <> 'x' OR 1 = 1",
        "SELECT p.label FROM predictions AS p RIGHT JOIN predictions q ON 1 = 1",
        "SELECT label FROM (SELECT * FROM predictions) AS all_of_them",
    ):
        found = await warehouse.query(organisation, sql)
        assert {row[0] for row in found.rows} == {"cat", "dog"}
    assert (await warehouse.query(new_id(), "SELECT count(*) FROM predictions")).rows == [[0]]
    assert (await warehouse.query("it's", "SELECT count(*) FROM predictions")).rows == [[0]]


async def test_a_result_is_cut_at_the_limit_and_says_so(warehouse: Warehouse, organisation: str) -> None:
    found = await warehouse.query(organisation, "SELECT label FROM predictions ORDER BY box_index", limit=2)
    assert (found.columns, found.rows, found.truncated) == (["label"], [["cat"], ["dog"]], True)
    for sql in ("SELECT label FROM predictions LIMIT 999999", "SELECT label FROM predictions LIMIT ALL"):
        assert len((await warehouse.query(organisation, sql, limit=2)).rows) == 2
    assert not (await warehouse.query(organisation, "SELECT label FROM predictions", limit=3)).truncated
    assert len((await warehouse.query(organisation, "SELECT label FROM predictions LIMIT 1", limit=2)).rows) == 1


async def test_parameters_are_values_and_never_sql(warehouse: Warehouse, organisation: str) -> None:
    asked = "SELECT count(*) FROM predictions WHERE label = :label AND confidence > :least"
    found = await warehouse.query(organisation, asked, {"label": "cat", "least": 0.55})
    assert found.rows == [[1]]
    injected = await warehouse.query(organisation, asked, {"label": "cat' OR '1' = '1", "least": 0})
    assert injected.rows == [[0]]
    among = await warehouse.query(
        organisation, "SELECT count(*) FROM predictions WHERE label IN :labels", {"labels": ["cat", "dog"]}
    )
    assert among.rows == [[3]]
    null = await warehouse.query(organisation, "SELECT count(*) FROM predictions WHERE :x IS NULL", {"x": None})
    assert null.rows == [[3]]
    for wrong in ({}, {"label": "cat"}, {"label": "cat", "least": 1, "more": 1}):
        with pytest.raises(QueryRefused):
            await warehouse.query(organisation, asked, wrong)
    unusable: list[object] = [{"a": 1}, [], b"x", "a\x00b"]
    for bad in unusable:
        with pytest.raises(BadInput):
            await warehouse.query(organisation, "SELECT :x", {"x": bad})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
async def test_text_comes_back_as_it_was_given(warehouse: Warehouse, text: str) -> None:
    for value in (text, f"\\{text}'", f"{text}\\", "%s :x $1 ? {" + text):
        assert (await warehouse.query("o", "SELECT :x AS x, 1 AS one", {"x": value})).rows == [[value, 1]]


async def test_a_statement_that_cannot_be_run_says_why(warehouse: Warehouse, organisation: str) -> None:
    for sql, word in (
        ("SELECT nonsense FROM predictions", "nonsense"),
        ("SELECT cast(label AS int) FROM predictions", "cat"),
    ):
        with pytest.raises(QueryFailed, match=word):
            await warehouse.query(organisation, sql)
