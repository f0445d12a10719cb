"""What the warehouse port promises about loading: all or nothing, exactly once, checked."""

import asyncio
import gzip
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from studio9_common.contracts.predictions import COLUMNS, prediction_id
from studio9_common.ids import new_id
from studio9_common.objects.connect import ObjectsSettings
from studio9_common.objects.port import Objects
from studio9_common.warehouse.connect import WarehouseSettings, open_warehouse
from studio9_common.warehouse.port import (
    BadPart,
    Load,
    Loaded,
    ManifestChanged,
    Part,
    Warehouse,
    WarehouseUnavailable,
)

Place = tuple[WarehouseSettings, ObjectsSettings]

NAMES = [column.name for column in COLUMNS]


def rows_for(organisation: str, job: str, count: int, *, picture: str = "") -> list[dict[str, Any]]:
    version = hashlib.sha256((picture or job).encode()).hexdigest()
    return [
        {
            "prediction_id": prediction_id(version, "mv", (picture and "stream") or job, index),
            "organisation": organisation,
            "source": "batch",
            "picture_id": "p1",
            "picture_version": version,
            "picture_filename": 'a "quoted",\nüñ.png',
            "box_index": index,
            "label": ["cat", "dog"][index % 2],
            "confidence": 0.5 + index / 1000,
            "left_px": 1.25,
            "top_px": None,
            "width_px": 10.0,
            "height_px": 1e-3,
            "scores": json.dumps({"cat": 0.25, "it's": [1]}) if index % 2 else None,
            "model_id": "m",
            "model_version": "mv",
            "label_revision": None,
            "dataset_version": "dv",
            "job": job,
            "attempt": 1,
            "fence": 7,
            "stream": None,
            "image_digest": None,
            "commit": "c" * 40,
            "predicted_at": "2026-11-21T10:00:00.123456Z",
        }
        for index in range(count)
    ]


def content(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = NAMES) -> bytes:
    """In the worker's dialect: text in quotes, numbers bare, null as nothing at all."""

    def cell(value: Any) -> str:
        if value is None:
            return ""
        return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else repr(value)

    lines = [",".join(columns), *(",".join(cell(row.get(name, "x")) for name in columns) for row in rows)]
    return gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0)


async def stored(objects: Objects, organisation: str, job: str, number: int, data: bytes, rows: int) -> Part:
    key = f"{organisation}/jobs/{job}/7/predictions/{number}.csv.gz"
    info = await objects.put(key, data)
    return Part(key, info.sha256 or "", info.size, rows)


async def load_of(
    objects: Objects, organisation: str, job: str, parts: Sequence[Sequence[Mapping[str, Any]]], **changed: Any
) -> Load:
    made = [
        await stored(objects, organisation, job, number, content(rows), len(rows)) for number, rows in enumerate(parts)
    ]
    manifest = hashlib.sha256(repr(made).encode()).hexdigest()
    load = Load(organisation, job, "predictions", manifest, made, sum(part.rows for part in made))
    return replace(load, **changed)


async def count(warehouse: Warehouse, organisation: str) -> int:
    found = await warehouse.query(organisation, "SELECT count(*) FROM predictions")
    return int(found.rows[0][0])


@pytest.fixture
def organisation() -> str:
    return new_id()


@pytest.fixture
def job() -> str:
    return new_id()


async def test_every_row_arrives_as_it_was_written(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    rows = rows_for(organisation, job, 5)
    loaded = await warehouse.load(await load_of(objects, organisation, job, [rows[:3], rows[3:]]))
    assert (loaded.rows, loaded.repeated) == (5, False)
    found = await warehouse.query(organisation, "SELECT * FROM predictions ORDER BY box_index")
    assert found.columns == NAMES
    assert not found.truncated
    for expected, values in zip(rows, found.rows, strict=True):
        actual = dict(zip(found.columns, values, strict=True))
        for name in ("scores",):
            got, wanted = actual.pop(name), expected.pop(name)
            assert (json.loads(got) if got else None) == (json.loads(wanted) if wanted else None)
        assert actual == expected


async def test_an_empty_file_name_is_a_file_name(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    rows = [{**row, "picture_filename": ""} for row in rows_for(organisation, job, 1)]
    await warehouse.load(await load_of(objects, organisation, job, [rows]))
    assert (await warehouse.query(organisation, "SELECT picture_filename, stream FROM predictions")).rows == [
        ["", None]
    ]


async def test_the_same_load_again_does_nothing(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    load = await load_of(objects, organisation, job, [rows_for(organisation, job, 3)])
    assert await warehouse.ledger(organisation, job, "predictions") is None
    first = await warehouse.load(load)
    again = await warehouse.load(load)
    assert again == Loaded(3, first.loaded_at, repeated=True)
    assert await warehouse.ledger(organisation, job, "predictions") == again
    assert await warehouse.ledger(new_id(), job, "predictions") is None
    assert await count(warehouse, organisation) == 3


async def test_of_many_loaders_at_once_one_loads(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    load = await load_of(objects, organisation, job, [rows_for(organisation, job, 50)])
    results = await asyncio.gather(*(warehouse.load(load) for _ in range(6)))
    assert sum(not result.repeated for result in results) == 1
    assert {result.rows for result in results} == {50}
    assert await count(warehouse, organisation) == 50


async def test_a_changed_manifest_is_refused(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    load = await load_of(objects, organisation, job, [rows_for(organisation, job, 3)])
    await warehouse.load(load)
    with pytest.raises(ManifestChanged):
        await warehouse.load(replace(load, manifest_sha256="0" * 64))
    assert await count(warehouse, organisation) == 3


async def test_an_output_without_a_row_is_recorded(warehouse: Warehouse, organisation: str, job: str) -> None:
    load = Load(organisation, job, "predictions", "0" * 64, [], 0)
    assert (await warehouse.load(load)).rows == 0
    assert (await warehouse.load(load)).repeated


async def test_a_header_without_rows_is_an_empty_part(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    assert (await warehouse.load(await load_of(objects, organisation, job, [[]]))).rows == 0


async def test_a_prediction_is_in_the_table_once(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    """The same picture seen twice by one stream, in one batch or in two."""
    seen = rows_for(organisation, job, 2, picture="same")
    assert (await warehouse.load(await load_of(objects, organisation, job, [seen, seen]))).rows == 2
    later = new_id()
    again = rows_for(organisation, later, 3, picture="same")
    assert (await warehouse.load(await load_of(objects, organisation, later, [again]))).rows == 1
    assert await count(warehouse, organisation) == 3
    other = new_id()
    foreign = rows_for(other, later, 3, picture="same")
    assert (await warehouse.load(await load_of(objects, other, later, [foreign]))).rows == 3


async def test_a_part_of_a_newer_or_older_build_may_lack_columns_that_can_be_empty(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str
) -> None:
    rows = rows_for(organisation, job, 2)
    names = [name for name in reversed(NAMES) if name not in ("scores", "image_digest")]
    part = await stored(objects, organisation, job, 0, content(rows, names), 2)
    assert (await warehouse.load(Load(organisation, job, "predictions", "0" * 64, [part], 2))).rows == 2
    found = await warehouse.query(organisation, "SELECT label, scores FROM predictions ORDER BY box_index")
    assert found.rows == [["cat", None], ["dog", None]]


async def broken(objects: Objects, organisation: str, job: str, case: str) -> Load:
    rows = rows_for(organisation, job, 3)
    good = await stored(objects, organisation, job, 0, content(rows[:1]), 1)
    data, total = content(rows[1:]), 3
    match case:
        case "rows":
            total = 4
        case "organisation":
            data = content([{**row, "organisation": new_id()} for row in rows[1:]])
        case "job":
            data = content([{**row, "job": new_id()} for row in rows[1:]])
        case "unknown column":
            data = data = content(rows[1:], [*NAMES, "surprise"])
        case "missing column":
            data = content(rows[1:], [name for name in NAMES if name != "label"])
        case "type":
            data = content([{**row, "confidence": "high"} for row in rows[1:]])
        case "empty":
            data = content([{**row, "label": None} for row in rows[1:]])
        case "json":
            data = content([{**row, "scores": "{not json"} for row in rows[1:]])
        case "not gzip":
            data = b"prediction_id,organisation\n"
        case "cut off":
            data = data[: len(data) // 2]
        case "too few":
            data = content(rows[1:2])
    part = await stored(objects, organisation, job, 1, data, total - 1)
    match case:
        case "missing":
            part = replace(part, key=part.key + "x")
        case "checksum":
            part = replace(part, sha256="0" * 64)
        case "size":
            part = replace(part, size=part.size + 1)
        case "sum":
            part = replace(part, rows=99)
    return Load(organisation, job, "predictions", "0" * 64, [good, part], total)


CASES = "rows organisation job type empty json missing checksum size sum"
MORE = ["unknown column", "missing column", "not gzip", "cut off", "too few"]


@pytest.mark.parametrize("case", [*CASES.split(), *MORE])
async def test_a_bad_part_loads_nothing(
    warehouse: Warehouse, objects: Objects, organisation: str, job: str, case: str
) -> None:
    with pytest.raises(BadPart):
        await warehouse.load(await broken(objects, organisation, job, case))
    assert await count(warehouse, organisation) == 0
    assert await warehouse.ledger(organisation, job, "predictions") is None


LOADER = """
import asyncio, json, os, sys
from dataclasses import replace
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.warehouse.connect import WarehouseSettings, open_warehouse
from studio9_common.warehouse.port import Load, Part

async def main():
    given = json.loads(sys.stdin.read())
    objects = open_objects(ObjectsSettings(**given["objects"]))
    warehouse = open_warehouse(WarehouseSettings(**given["warehouse"]), objects)
    load = Load(**{**given["load"], "parts": [Part(**part) for part in given["load"]["parts"]]})
    print("loading", flush=True)
    await warehouse.load(load)
    print("loaded", flush=True)

asyncio.run(main())
"""


def told(place: Place, load: Load) -> bytes:
    def shown(settings: Any) -> dict[str, Any]:
        values = settings.model_dump(exclude_unset=True)
        return {k: v.get_secret_value() if hasattr(v, "get_secret_value") else v for k, v in values.items()}

    body = {name: getattr(load, name) for name in ("organisation", "job", "output", "manifest_sha256", "rows")}
    parts = [{name: getattr(part, name) for name in ("key", "sha256", "size", "rows")} for part in load.parts]
    given = {"objects": shown(place[1]), "warehouse": shown(place[0]), "load": body | {"parts": parts}}
    return json.dumps(given).encode()


async def test_a_killed_loader_leaves_nothing_and_the_next_loads_once(
    place: Place,
    warehouse: Warehouse,
    objects: Objects,
    organisation: str,
    job: str,
) -> None:
    load = await load_of(objects, organisation, job, [rows_for(organisation, job, 20_000)])
    await warehouse.close()
    outcomes = set()
    for delay in (0.0, 0.1, 0.3, 0.6):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LOADER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdin and process.stdout
        process.stdin.write(told(place, load))
        process.stdin.close()
        assert await process.stdout.readline() == b"loading\n"
        await asyncio.sleep(delay)
        if process.returncode is None:
            process.kill()
        await process.wait()
        again = open_warehouse(place[0], objects)
        outcomes.add(await count(again, organisation))
        await again.close()
    assert outcomes <= {0, 20_000}
    last = open_warehouse(place[0], objects)
    assert (await last.load(load)).rows == 20_000
    assert await count(last, organisation) == 20_000
    await last.close()


async def test_preparing_again_is_harmless(warehouse: Warehouse, objects: Objects, organisation: str, job: str) -> None:
    await warehouse.load(await load_of(objects, organisation, job, [rows_for(organisation, job, 1)]))
    await asyncio.gather(*(warehouse.prepare() for _ in range(3)))
    assert await count(warehouse, organisation) == 1


async def test_a_ping_says_whether_the_warehouse_can_be_reached(warehouse: Warehouse, out_of_reach: Warehouse) -> None:
    await warehouse.ping()
    with pytest.raises(WarehouseUnavailable):
        await out_of_reach.ping()
