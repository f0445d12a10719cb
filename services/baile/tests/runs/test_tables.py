"""Probability tables: what was predicted, box by box, with figures of each column."""

from typing import Any


async def test_the_tables_of_a_training(ana: Any, bo: Any, model: str) -> None:
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    step = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]
    table = step["probabilityPredictionTableId"]
    seen = await ana.ok("GET", f"/tables/{table}")
    assert set(seen) == {"id", "ownerId", "datasetId", "name", "status", "datasetType", "created", "updated",
                         "inLibrary", "columns"}  # fmt: skip
    assert (seen["status"], seen["datasetType"], seen["inLibrary"]) == ("ACTIVE", "DERIVED", False)
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


async def test_an_album_of_ones_own_is_no_table(ana: Any, albums: dict[str, str], model: str) -> None:
    for path in ("", "/data", "/stats"):
        await ana.refused(404, "GET", f"/tables/{albums['train']}{path}")
        await ana.refused(404, "GET", f"/tables/nothing{path}")
