"""What is special about the DuckDB file: time limit, one process, older tables."""

import asyncio
import sys
import time
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from studio9_common.errors import BadInput
from studio9_common.objects.local import LocalObjects
from studio9_common.warehouse.connect import WarehouseSettings, open_warehouse
from studio9_common.warehouse.duckdb import DuckDbWarehouse
from studio9_common.warehouse.port import QueryFailed, WarehouseUnavailable
from studio9_common.warehouse.redshift import RedshiftWarehouse
from studio9_common.warehouse.schema import NAMES


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects", base_url="http://x")


async def test_a_statement_that_takes_too_long_is_stopped(tmp_path: Path, objects: LocalObjects) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "w", objects, timeout_s=0.3)
    await warehouse.prepare()
    started = time.monotonic()
    with pytest.raises(QueryFailed, match=r"longer than 0\.3 s"):
        await warehouse.query("o", "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b")
    assert time.monotonic() - started < 30, "the whole statement takes hours"
    assert (await warehouse.query("o", "SELECT 1")).rows == [[1]]
    await warehouse.close()


async def test_a_second_process_is_told_that_the_file_is_taken(tmp_path: Path, objects: LocalObjects) -> None:
    code = "import duckdb, sys\nd = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()"
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "w"), stdin=pipe, stdout=pipe
    )
    assert other.stdout and await other.stdout.readline() == b"open\n"
    with pytest.raises(WarehouseUnavailable, match="one process"):
        DuckDbWarehouse(tmp_path / "w", objects)
    await other.communicate(b"")
    await DuckDbWarehouse(tmp_path / "w", objects).close()


async def test_a_table_of_an_older_build_gets_its_missing_columns(tmp_path: Path, objects: LocalObjects) -> None:
    with duckdb.connect(str(tmp_path / "w")) as db:
        db.execute("CREATE SCHEMA studio9")
        db.execute("CREATE TABLE studio9.prediction_rows (prediction_id VARCHAR, organisation VARCHAR)")
        db.execute("INSERT INTO studio9.prediction_rows VALUES ('id', 'o')")
    warehouse = DuckDbWarehouse(tmp_path / "w", objects)
    await warehouse.prepare()
    found = await warehouse.query("o", "SELECT * FROM predictions")
    assert found.columns == list(NAMES)
    assert found.rows == [["id", "o", *[None] * (len(NAMES) - 2)]]
    await warehouse.close()


async def test_an_address_names_its_adapter(tmp_path: Path, objects: LocalObjects) -> None:
    settings = WarehouseSettings(
        url=SecretStr("redshift://u:hidden@host/db"), objects_url="s3://b", secret_key=SecretStr("hidden")
    )
    assert isinstance(open_warehouse(settings, objects), RedshiftWarehouse)
    assert "hidden" not in repr(settings)
    for bad in ("mysql://u:hidden@host/db", "redshift://u:hidden@host/db", "duckdb:"):
        with pytest.raises(BadInput) as refused:
            open_warehouse(WarehouseSettings(url=SecretStr(bad)), objects)
        assert "hidden" not in str(refused.value.problem())


async def test_a_server_that_is_down_is_unavailable(objects: LocalObjects) -> None:
    for url in ("postgresql://u:p@127.0.0.1:9/db", "redshift://u:p@127.0.0.1:9/db"):
        down = open_warehouse(WarehouseSettings(url=SecretStr(url), objects_url="s3://b", ssl=False), objects)
        with pytest.raises(WarehouseUnavailable):
            await down.ping()
