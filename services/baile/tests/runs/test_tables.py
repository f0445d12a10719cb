"""Probability tables: what was predicted, box by box, with figures of each column."""

from typing import Any

import pytest

from studio9_baile.models.base import Scoped
from studio9_baile.usecases import tables


async def test_the_tables_of_a_training(ana: Any, bo: Any, model: str) -> None:
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    step = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]
    table = step["probabilityPredictionTableId"]
    seen = await ana.ok("GET", f"/tables/{table}")
    assert set(seen) == {"id", "ownerId", "datasetId", "name", "status", "datasetType", "created", "updated",
                         "inLibrary", "columns"}  # fmt: skip
    assert (seen["status"], seen["datasetType"], seen["inLibrary"]) == ("ACTIVE", "DERIVED", True)
    assert [(one["name"], one["dataType"], one["variableType"]) for one in seen["columns"]] == [
        ("filename", "STRING", "CATEGORICAL"), ("xmin", "INTEGER", "CONTINUOUS"), ("ymin", "INTEGER", "CONTINUOUS"),
        ("xmax", "INTEGER", "CONTINUOUS"), ("ymax", "INTEGER", "CONTINUOUS"),
        ("buoy probability", "DOUBLE", "CONTINUOUS"), ("ship probability", "DOUBLE", "CONTINUOUS"),
    ]  # fmt: skip
    rows = await ana.ok("GET", f"/tables/{table}/data?page=1&page_size=20&order=filename")
    boxes = sum(
        len(one["predictedTags"]) for one in (await ana.ok("GET", f"/albums/{step['output']}/pictures"))["data"]
    )
    assert rows["count"] == len(rows["data"]) == boxes == 4
    assert rows["data"][0][:5] == ["train_one", 10, 10, 30, 30] and rows["data"][0][5] == 0.0 < rows["data"][0][6]
    assert (await ana.ok("POST", f"/tables/{table}/data?page=2&page_size=3&order=filename", {}))["data"] == rows[
        "data"
    ][3:]
    assert (await ana.ok("GET", f"/tables/{table}/data?search=two"))["count"] == 1
    stats = await ana.ok("GET", f"/tables/{table}/stats")
    assert (stats["id"], stats["status"], len(stats["stats"])) == (table, "DONE", 7)
    name, xmin = stats["stats"][:2]
    assert name == {"columnName": "filename", "uniqueCount": 2, "mostFrequentValue": "train_one",
                    "histogram": [{"count": 3, "value": "train_one"}, {"count": 1, "value": "train_two"}]}  # fmt: skip
    assert set(xmin) == {"columnName", "min", "max", "avg", "std", "stdPopulation", "median", "uniqueCount",
                         "histogram"}  # fmt: skip
    assert (xmin["min"], xmin["max"]) == (1, 10) and sum(one["count"] for one in xmin["histogram"]) == 4
    await ana.refused(400, "GET", f"/tables/{table}/data?order=colour")
    await bo.refused(404, "GET", f"/tables/{table}")
    assert await ana.ok("GET", "/tables?page=1") == {"data": [], "count": 0}
    for number, column in enumerate(seen["columns"]):
        for order in (column["name"], f"-{column['name']}"):
            found = (await ana.ok("GET", f"/tables/{table}/data", params={"order": order}))["data"]
            values = [row[number] for row in found]
            assert values == sorted(values, reverse=order.startswith("-")), order


async def test_a_table_as_a_file(ana: Any, bo: Any, model: str) -> None:
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    table = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]["probabilityPredictionTableId"]
    url = f"/v2.0/tables/{table}/export"
    answer = await ana.http.get(url, params={"access_token": ana.token})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="table-{table}.csv"'
    header, *rows = answer.text.splitlines()
    assert header == "filename,xmin,ymin,xmax,ymax,buoy probability,ship probability" and len(rows) == 4
    assert {row.partition(",")[0] for row in rows} == {"train_one", "train_two"}
    assert (await ana.http.get(url)).status_code == 401
    assert (await bo.http.get(url, params={"access_token": bo.token})).status_code == 404


async def test_a_table_that_grows_while_it_is_written(
    ana: Any, model: str, installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes between two parts, even before what is written already, doubles nothing and drops nothing."""
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    album = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]["probabilityPredictionTableId"]
    core, number = installation.baile.core, 0
    caller = core.tokens.read(ana.token)
    table = await tables.get_table(core, caller, album)
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 1)
    whole = "".join([part async for part in tables.export_table(core, caller, table)]).splitlines()
    assert len(whole) == 5 and whole[1] != whole[2], "boxes of one picture are parted, too"

    def like(row: Scoped, **changes: Any) -> dict[str, Any]:
        return {one.key: getattr(row, one.key) for one in row.__table__.columns} | changes

    written = ""
    async for part in tables.export_table(core, caller, table):
        written += part
        number += 1
        assert number <= 6, "what comes before the place that was reached is not waited for"
        async with core.database.write(caller.organisation) as work:
            (picture, *_) = await work.pictures.of_album(album, limit=1)
            (shape, *_) = await work.predicted.all(work.predicted.row.picture == picture.id)
            early = f"00{9 - number}"
            work.pictures.make(**like(picture, id=early, filename="new", source=early))
            await work.flush()
            work.predicted.make(**like(shape, id=early, picture=early))
    rows = [line for line in written.splitlines() if not line.startswith("new,")]
    assert number == 6 and rows == whole, "the header, what came before the first part, and what was there"


async def test_of_an_empty_table_there_are_no_figures(
    ana: Any, workers: Any, model: str, albums: dict[str, str], until: Any
) -> None:
    """The UI breaks on a histogram without bars, and prints `null` for figures that are not there."""
    made = await ana.ok("POST", "/cv-predictions", {"modelId": model, "name": "None", "input": albums["plain"]})
    request = await workers.take()
    names = tuple(one.filename for one in (await workers.pictures(request))["predict"])
    await workers.complete(request, without=names)

    async def done() -> bool:
        return bool((await ana.ok("GET", f"/cv-predictions/{made['id']}"))["status"] == "DONE")

    await until(done)
    assert await ana.ok("GET", f"/tables/{made['output']}/data") == {"data": [], "count": 0}
    assert (await ana.ok("GET", f"/tables/{made['output']}/stats"))["stats"] == []


async def test_an_album_of_ones_own_is_no_table(ana: Any, albums: dict[str, str], model: str) -> None:
    for path in ("", "/data", "/stats", "/export"):
        await ana.refused(404, "GET", f"/tables/{albums['train']}{path}")
        await ana.refused(404, "GET", f"/tables/nothing{path}")
