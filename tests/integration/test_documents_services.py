"""Aries and Argo on a real Elasticsearch: what they promise on the embedded store holds there as well."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo_app
from studio9_argo.collections import INDEXES
from studio9_argo.settings import ArgoSettings
from studio9_aries import app as aries_app
from studio9_aries.settings import AriesSettings
from studio9_common.bus import Bus, open_bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient, BulkItem
from studio9_common.contracts.collections import COLLECTIONS
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.job import Job, Phase, Spec, State
from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.documents.port import Where
from studio9_common.errors import BadInput, Conflict, NotFound, PreconditionFailed
from studio9_common.ids import new_id
from studio9_common.tokens import TokenKeys

NOW = "2026-11-21T11:17:04.123456Z"
KEYS = TokenKeys(TokenKeys.generate())


@pytest.fixture
async def documents() -> AsyncIterator[ElasticsearchDocuments]:
    url = os.environ.get("STUDIO9_TEST_ELASTICSEARCH_URL")
    if not url:
        pytest.skip("STUDIO9_TEST_ELASTICSEARCH_URL is not set: no Elasticsearch server to test against")
    opened = ElasticsearchDocuments.connect(url, prefix=f"test-{new_id()}")
    yield opened
    for family in (*COLLECTIONS, *(index.name for index in INDEXES)):
        try:
            places = await opened.indexes(family)
        except BadInput:
            continue  # a family of the other service
        for index in places:
            await opened.drop(index)
        await opened.forget(family)
    await opened.close()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    opened = await open_bus(f"sqlite:///{tmp_path}/bus.sqlite", name="test")
    yield opened
    await opened.close()


async def test_aries_keeps_jobs_and_beats(documents: ElasticsearchDocuments) -> None:
    service = aries_app.build(AriesSettings(), documents=documents, keys=KEYS)
    await service.start()
    orion, baile = (AriesClient(service.asgi, service=name, keys=KEYS) for name in ("orion", "baile"))
    job = Job(
        id=new_id(),
        organisation="acme",
        owner="u1",
        spec=Spec(kind="train"),
        request_hash="h",
        depends_on=("j1", "j2"),
        created_at=NOW,
        updated_at=NOW,
    )
    etag = await orion.create_job(job)
    with pytest.raises(Conflict):
        await orion.create_job(job)
    queued = [replace(job, state=State.queued, phase=Phase.queued, priority=n) for n in range(16)]
    outcomes = await asyncio.gather(*(orion.replace_job(one, etag) for one in queued), return_exceptions=True)
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 15
    page = await orion.search("jobs", Where(equals={"depends_on": "j2", "state": "queued"}), fresh=True, total=True)
    assert ([hit.id for hit in page.items], page.total) == ([job.id], 1)
    assert await baile.count("jobs", organisation="rival") == 0
    with pytest.raises(NotFound):
        await baile.get_job(job.id, organisation="rival")
    beat = {"organisation": "acme", "job": job.id, "fence": 1, "sequence": 1, "received_at": NOW}
    items = [
        BulkItem(action="put", id=f"{job.id}:1", body=beat),
        BulkItem(action="put", id=f"{job.id}:1", body={**beat, "progress": "half"}),
        BulkItem(action="create", id=f"{job.id}:1", body=beat),
    ]
    assert [outcome.status for outcome in await orion.bulk("beats", items)] == [200, 400, 409]
    (month,) = await orion.months("jobs")
    with pytest.raises(Conflict):
        await orion.drop_month("jobs", month)
    for client in (orion, baile):
        await client.close()


async def test_argo_keeps_configuration_and_secrets(documents: ElasticsearchDocuments, bus: Bus) -> None:
    settings = ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))
    service = argo_app.build(settings, documents=documents, bus=bus, keys=KEYS)
    await service.start()
    baile, taurus = (ArgoClient(service.asgi, service=name, keys=KEYS) for name in ("baile", "taurus"))
    config = StreamConfig(stream="s1", owner="u1", bucket="b", album="a1", model="m1", model_version="v1")
    for n in range(3):
        value = {**config.model_dump(mode="json"), "batch_size": n + 1}
        await baile.save("taurus", "stream_s1", value, scope="organisation", organisation="acme")
    entries = [entry async for entry in taurus.list(service="taurus", prefix="stream_")]
    assert [(entry.version, entry.value["batch_size"]) for entry in entries] == [(3, 3)]
    past = await baile.history("organisation", "taurus", "stream_s1", organisation="acme")
    assert [one.version for one in past] == [1, 2]
    info = await baile.add_secret("bucket", {"key": "k"}, audiences=["taurus"], organisation="acme")
    assert await taurus.reveal(info.id, organisation="acme") == {"key": "k"}
    other = await baile.add_secret("album", "value", audiences=["worker"], organisation="acme")
    assert [one async for one in baile.list_secrets(organisation="acme", limit=1)] == [other, info]
    assert await service.secrets.rotate() == 0
    await service.stop()
    for client in (baile, taurus):
        await client.close()
