"""The document routes: preconditions, bulk, paging, limits, readiness."""

import asyncio
from pathlib import Path

import httpx
import pytest

from studio9_aries.app import Aries, build
from studio9_aries.settings import AriesSettings
from studio9_common.clients.aries import AriesClient, BulkItem
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.documents.port import Where
from studio9_common.errors import BadInput, NotFound, PreconditionFailed, TooLarge
from studio9_common.ids import new_id
from studio9_common.tokens import Caller, TokenKeys

from .conftest import NOW, Clients


def beat(job: str, fence: int, sequence: int) -> dict[str, object]:
    return {
        "organisation": "acme",
        "job": job,
        "fence": fence,
        "worker": "w1",
        "sequence": sequence,
        "phase": "running",
        "progress": 0.25,
        "received_at": NOW,
    }


async def test_beats_are_put_in_bulk_each_with_its_outcome(orion: AriesClient) -> None:
    jobs = [new_id() for _ in range(1_500)]
    items = [BulkItem(action="put", id=f"{job}:1", body=beat(job, 1, 1)) for job in jobs]
    assert {outcome.status for outcome in await orion.bulk("beats", items)} == {200}
    etag = (await orion.get("beats", f"{jobs[0]}:1")).etag
    outcomes = await orion.bulk(
        "beats",
        [
            BulkItem(action="replace", id=f"{jobs[0]}:1", body=beat(jobs[0], 1, 2), etag=etag),
            BulkItem(action="replace", id=f"{jobs[0]}:1", body=beat(jobs[0], 1, 3), etag=etag),
            BulkItem(action="replace", id=f"{jobs[1]}:1", body=beat(jobs[1], 1, 3)),
            BulkItem(action="create", id=f"{jobs[1]}:1", body=beat(jobs[1], 1, 3)),
            BulkItem(action="put", id=f"{jobs[1]}:2", body=beat(jobs[1], 1, 3)),
            BulkItem(action="put", id=f"{jobs[1]}:2", body={"job": jobs[1], "fence": 2}),
            BulkItem(action="put", id=f"{jobs[1]}:2", body={**beat(jobs[1], 2, 1), "progress": "half"}),
            BulkItem(action="delete", id=f"{jobs[2]}:1"),
            BulkItem(action="delete", id="nothing:1"),
        ],
    )
    statuses = [outcome.status for outcome in outcomes]
    assert statuses == [200, 412, 428, 409, 400, 400, 400, 204, 404]
    assert [outcome.field for outcome in outcomes][4:7] == ["id", "organisation", "progress"]
    assert outcomes[0].etag and (await orion.get("beats", f"{jobs[0]}:1")).body["sequence"] == 2
    assert await orion.count("beats", Where(equals={"sequence": 1}), fresh=True) == 1_498


async def test_every_page_is_reached(orion: AriesClient) -> None:
    job = new_id()
    items = [
        BulkItem(
            action="put",
            id=f"{job}:1:{n}",
            body={"organisation": "acme", "job": job, "fence": 1, "sequence": n, "items": [{"n": n}]},
        )
        for n in range(1_234)
    ]
    await orion.bulk("telemetry", items)
    where = Where(equals={"job": job}, at_least={"sequence": 100})
    seen = [hit.body["sequence"] async for hit in orion.search_all("telemetry", where, sort=["-sequence"], fresh=True)]
    assert seen == list(range(1_233, 99, -1))
    with pytest.raises(BadInput) as refused:
        await orion.search("telemetry", Where(equals={"items": 1}))
    assert refused.value.field == "items"


async def test_preconditions_over_plain_http(aries: Aries, keys: TokenKeys) -> None:
    token = keys.sign(Caller("orion", "system"), "aries")
    transport = httpx.ASGITransport(aries.asgi)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://aries", headers=headers) as http:
        epoch = {"organisation": "system", "pool": "cpu", "epoch": 1}
        created = await http.post("/v1/scheduler/epoch", json=epoch)
        assert (created.status_code, created.headers["etag"][0]) == (201, '"')
        assert (await http.post("/v1/scheduler/epoch", json=epoch)).status_code == 409
        for missing in ({}, {"If-Match": "*"}):
            assert (await http.put("/v1/scheduler/epoch", json=epoch, headers=missing)).status_code == 428
            assert (await http.delete("/v1/scheduler/epoch", headers=missing)).status_code == 428
        matching = {"If-Match": created.headers["etag"]}
        changed = await http.put("/v1/scheduler/epoch", json={**epoch, "epoch": 2}, headers=matching)
        assert changed.status_code == 200
        refused = await http.put("/v1/scheduler/epoch", json=epoch, headers=matching)
        assert (refused.status_code, refused.json()["title"]) == (412, "precondition failed")
        read = await http.get("/v1/scheduler/epoch")
        assert (read.json()["epoch"], read.headers["etag"]) == (2, changed.headers["etag"])
        gone = await http.delete("/v1/scheduler/epoch", headers={"If-Match": read.headers["etag"]})
        assert gone.status_code == 204
        assert (await http.put("/v1/sweeps/orphans", json={"organisation": "system"})).status_code == 200
        assert (await http.get("/v1/unheard_of/x")).status_code == 404
        assert (await http.post("/v1/sweeps/x", content=b"[1]")).status_code == 400
        assert (await http.post("/v1/sweeps/x", content=b"{")).status_code == 400
        assert (await http.post("/v1/beats/_bulk", json={"items": [{"id": "x"}]})).status_code == 400
        too_many = {"ids": ["x"] * 1_001}
        assert (await http.post("/v1/beats/_mget", json=too_many)).status_code == 400
        http.headers["Authorization"] = "Bearer nonsense"
        assert (await http.get("/v1/scheduler/epoch")).status_code == 401


async def test_bodies_have_a_limit(tmp_path: Path, keys: TokenKeys) -> None:
    documents = await SqliteDocuments.open(tmp_path / "a.sqlite")
    service = build(AriesSettings(max_request_bytes=65_536), documents=documents, keys=keys)
    await service.start()
    client = AriesClient(service.asgi, service="orion", keys=keys)
    with pytest.raises(TooLarge):
        await client.put("sweeps", "x", {"organisation": "system", "detail": "x" * 70_000})
    await client.close()
    await documents.close()


async def test_a_write_whose_answer_was_lost_on_the_way_is_found_again(aries: Aries, keys: TokenKeys) -> None:
    lose = 1

    async def lossy(scope, receive, send):  # type: ignore[no-untyped-def] # an ASGI app's own types say nothing
        nonlocal lose
        if scope["method"] in {"GET"} or scope["path"].endswith("_mget") or not lose:
            return await aries.asgi(scope, receive, send)
        lose -= 1

        async def swallow(message: object) -> None:
            return None

        await aries.asgi(scope, receive, swallow)
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    client = AriesClient(lossy, service="orion", keys=keys, retry_s=5)  # type: ignore[arg-type]
    body = {"organisation": "system", "pool": "cpu", "epoch": 1}
    etag = await client.create("scheduler", "s", body)
    lose = 1
    etag = await client.replace("scheduler", "s", {**body, "epoch": 2}, etag)
    assert (await client.get("scheduler", "s")).etag == etag
    lose = 1
    with pytest.raises(PreconditionFailed):
        await client.replace("scheduler", "s", {**body, "epoch": 3}, "0")
    lose = 1
    items = [BulkItem(action="create", id="t", body=body), BulkItem(action="create", id="s", body=body)]
    assert [outcome.status for outcome in await client.bulk("scheduler", items)] == [200, 409]
    lose = 1
    await client.delete("scheduler", "s", etag)
    with pytest.raises(NotFound):
        await client.delete("scheduler", "s", etag)
    await client.close()


async def test_it_is_unready_until_started(tmp_path: Path, keys: TokenKeys) -> None:
    documents = await SqliteDocuments.open(tmp_path / "a.sqlite")
    service = build(AriesSettings(), documents=documents, keys=keys)
    transport = httpx.ASGITransport(service.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://aries") as http:
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/ready")).status_code == 503
        token = keys.sign(Caller("orion", "system"), "aries")
        headers = {"Authorization": f"Bearer {token}"}
        assert (await http.get("/v1/sweeps/x", headers=headers)).status_code == 503
        await service.start()
        assert (await http.get("/ready")).status_code == 200
        assert (await http.get("/v1/sweeps/x", headers=headers)).status_code == 404
    await documents.close()


async def test_many_writers_of_one_document_have_one_winner(as_service: Clients) -> None:
    orion = as_service("orion")
    body = {"organisation": "system", "pool": "cpu", "epoch": 0}
    etag = await orion.create("scheduler", "s", body)
    outcomes = await asyncio.gather(
        *(orion.replace("scheduler", "s", {**body, "epoch": n}, etag) for n in range(32)), return_exceptions=True
    )
    winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(winners) == 1
    assert all(isinstance(o, PreconditionFailed) for n, o in enumerate(outcomes) if n != winners[0])
    assert (await orion.get("scheduler", "s")).body["epoch"] == winners[0]
