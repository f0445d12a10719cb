"""Pegasus on the embedded bus, objects and warehouse: each output loaded once, its fate told, other tenants unseen."""

import asyncio
import csv
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo
from studio9_argo.settings import ArgoSettings
from studio9_common.bus import open_bus
from studio9_common.bus.port import Bus, Queue
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import ObjectRef, State
from studio9_common.contracts.messages import JobCompleted, JobOutput
from studio9_common.contracts.predictions import COLUMNS, AttemptManifest, ManifestFile, PredictionsOutput
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.errors import BadInput, NotFound
from studio9_common.http.client import ServiceClient
from studio9_common.ids import new_id
from studio9_common.objects.port import Objects
from studio9_common.tokens import TokenKeys
from studio9_pegasus.app import Pegasus, build
from studio9_pegasus.settings import PegasusSettings

NOW = "2026-11-21T10:00:00.000000Z"
HEARD = Queue("test.outputs.v1", bindings=("job.output",))


@dataclass
class Platform:
    """Pegasus with what it stands on."""

    bus: Bus
    objects: Objects
    client: ServiceClient
    service: Pegasus
    configuration: ArgoClient
    """As an operator writes it."""

    async def outputs(self, until: str) -> list[JobOutput]:
        """What Pegasus tells, up to and including the state `until`."""
        told: list[JobOutput] = []
        async with self.bus.consume(HEARD.name) as consumer:
            while not told or told[-1].state != until:
                for delivery in await asyncio.wait_for(consumer.get(), 10):
                    data = decode(delivery.body).data
                    assert isinstance(data, JobOutput)
                    told.append(data)
                    await delivery.ack()
        return told

    async def rows(self, organisation: str, sql: str) -> list[list[Any]]:
        answer = await self.client.request("POST", "/v1/query", organisation=organisation, json={"sql": sql})
        return list(answer.json()["rows"])

    async def seen(self, organisation: str, sql: str, *, rows: int) -> None:
        """Until an answer has so many rows."""
        async with asyncio.timeout(20):
            while True:
                if len(await self.rows(organisation, sql)) == rows:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def platform(folder: Path) -> AsyncIterator[Platform]:
    keys = TokenKeys(TokenKeys.generate())
    settings = PegasusSettings(state_dir=folder, objects_url=f"file://{folder}/objects")
    bus = await open_bus(f"sqlite:///{folder}/bus.sqlite", name="test")
    objects = settings.open_objects()
    warehouse = settings.open_warehouse(objects)
    documents = await SqliteDocuments.open(folder / "argo.sqlite")
    about = ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))
    configuration = argo.build(about, documents=documents, bus=bus, keys=keys)
    own, operator = (ArgoClient(configuration.asgi, service=name, keys=keys) for name in ("pegasus", "studio9"))
    service = build(settings, bus=bus, objects=objects, warehouse=warehouse, argo=own, keys=keys)
    await bus.declare(HEARD)
    await configuration.start()
    await service.start()
    client = ServiceClient(service.asgi, audience="pegasus", service="operator", keys=keys)
    try:
        yield Platform(bus, objects, client, service, operator)
    finally:
        await service.stop()
        await configuration.stop()
        for one in (client, own, operator):
            await one.close()
        await documents.close()
        await bus.close()
        await warehouse.close()
        await objects.close()


def csv_part(job: str, organisation: str, rows: int) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in COLUMNS])
    writer.writeheader()
    for index in range(rows):
        values = {column.name: f"{column.name}" for column in COLUMNS}
        values |= {"prediction_id": hashlib.sha256(f"{job}{index}".encode()).hexdigest(), "organisation": organisation}
        values |= {"box_index": str(index), "confidence": "0.75", "label": "seven", "job": job, "scores": ""}
        values |= {"left_px": "1.5", "top_px": "2", "width_px": "3", "height_px": "4", "source": "batch"}
        values |= {"attempt": "1", "fence": "1", "predicted_at": NOW, "picture_version": "0" * 64, "commit": "abc"}
        writer.writerow(values)
    return gzip.compress(text.getvalue().encode(), mtime=0)


async def completed(
    on: Platform, *, organisation: str = "acme", rows: int = 3, claim: int | None = None
) -> JobCompleted:
    """A finished prediction job whose manifest claims `claim` rows (by default what is there)."""
    job = new_id()
    part = csv_part(job, organisation, rows)
    info = await on.objects.put(f"{organisation}/jobs/{job}/1/parts/0.csv.gz", part)
    file = ManifestFile(
        name="parts/0.csv.gz",
        key=info.key,
        sha256=info.sha256 or "",
        size=info.size,
        rows=rows,
        kind="predictions-part",
    )
    predictions = PredictionsOutput(
        rows=rows if claim is None else claim, pictures=1, pictures_without=0, parts=(file,)
    )
    manifest = AttemptManifest(
        organisation=organisation, job=job, attempt=1, fence=1, kind="predict", predictions=predictions
    )
    stored = await on.objects.put(f"{organisation}/jobs/{job}/1/manifest.json", manifest.model_dump_json().encode())
    reference = ObjectRef(key=stored.key, sha256=stored.sha256 or "", size=stored.size)
    return JobCompleted(
        job=job, kind="predict", time=NOW, state=State.completed, attempt=1, fence=1, manifest=reference,
        created_at=NOW, ended_at=NOW,
    )  # fmt: skip


async def announce(on: Platform, event: JobCompleted, organisation: str = "acme") -> None:
    await on.bus.publish(encode(event, source="orion", organisation=organisation))


async def test_an_output_is_loaded_once_and_told(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        event = await completed(on)
        await announce(on, event)
        told = await on.outputs("loaded")
        assert [(one.state, one.rows) for one in told] == [("loading", None), ("loaded", 3)]
        await announce(on, event)
        assert (await on.outputs("loaded"))[-1].rows == 3
        assert await on.rows("acme", "SELECT count(*) FROM predictions") == [[3]]
        line = await on.client.request("GET", f"/v1/loads/{event.job}/predictions", organisation="acme")
        assert line.json()["rows"] == 3


async def test_it_stays_once_across_restarts(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        event = await completed(on)
        await announce(on, event)
        await on.outputs("loaded")
    async with platform(tmp_path) as on:
        await announce(on, event)
        await on.outputs("loaded")
        assert await on.rows("acme", "SELECT count(*) FROM predictions") == [[3]]


async def test_what_cannot_be_loaded_is_told_with_the_reason_and_leaves_nothing(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        wrong_rows = await completed(on, claim=7)
        good = await completed(on)
        missing = good.model_copy(update={"manifest": ObjectRef(key="acme/none", sha256="0" * 64, size=1)})
        other = good.model_copy(update={"job": new_id()})
        unnamed = good.model_copy(update={"manifest": None})
        for event, word in ((wrong_rows, "rows"), (missing, "acme/none"), (other, "another job"), (unnamed, "without")):
            await announce(on, event)
            told = (await on.outputs("failed"))[-1]
            assert word in told.message, told.message
        assert await on.rows("acme", "SELECT count(*) FROM predictions") == [[0]]


async def test_other_kinds_of_job_are_left_alone(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        event = await completed(on)
        await announce(on, event.model_copy(update={"kind": "train"}))
        await announce(on, event)
        assert {one.job for one in await on.outputs("loaded")} == {event.job}
        assert await on.bus.depth("pegasus.jobs.v1") == 0


async def test_an_organisation_sees_its_own_rows_alone(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        for organisation, rows in (("acme", 2), ("globex", 5)):
            await announce(on, await completed(on, organisation=organisation, rows=rows), organisation)
            await on.outputs("loaded")
        assert await on.rows("acme", "SELECT count(*) FROM predictions") == [[2]]
        assert await on.rows("globex", "SELECT count(*) FROM predictions") == [[5]]
        for sql in ("DELETE FROM predictions", "SELECT 1; SELECT 2", "DROP TABLE predictions"):
            with pytest.raises(BadInput):
                await on.rows("acme", sql)
        with pytest.raises(BadInput, match="organisation"):
            await on.rows("system", "SELECT 1")
        with pytest.raises(NotFound):
            await on.client.request("GET", f"/v1/loads/{new_id()}/predictions", organisation="acme")


async def test_an_answer_has_a_limit(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        await announce(on, await completed(on, rows=30))
        await on.outputs("loaded")
        body = {"sql": "SELECT box_index FROM predictions ORDER BY box_index", "limit": 10}
        answer = (await on.client.request("POST", "/v1/query", organisation="acme", json=body)).json()
        assert (len(answer["rows"]), answer["truncated"]) == (10, True)
        assert json.dumps(answer["rows"][:3]) == "[[0], [1], [2]]"


async def test_its_limits_are_followed_live_for_each_organisation(tmp_path: Path) -> None:
    async with platform(tmp_path) as on:
        await on.configuration.save("pegasus", "query_rows", 2, scope="organisation", organisation="acme")
        await on.configuration.save("pegasus", "load_rows", 4, scope="installation")
        for organisation, rows in (("acme", 3), ("globex", 3)):
            await announce(on, await completed(on, organisation=organisation, rows=rows), organisation)
            await on.outputs("loaded")
        await on.seen("acme", "SELECT label FROM predictions", rows=2)
        assert len(await on.rows("globex", "SELECT label FROM predictions")) == 3
        await announce(on, await completed(on, rows=5))
        assert "at most 4" in (await on.outputs("failed"))[-1].message
