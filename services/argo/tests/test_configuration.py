"""Values by scope: precedence, versions, types, history, who may write what, announcements."""

import asyncio

import httpx
import pytest

from studio9_argo.app import Argo
from studio9_common.bus import Bus, Queue
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.messages import ConfigChanged
from studio9_common.errors import BadInput, Conflict, Forbidden, NotFound, PreconditionFailed, TooLarge
from studio9_common.tokens import Caller, TokenKeys

from .conftest import LIMIT, Clients

STREAM = StreamConfig(stream="s1", owner="u1", bucket="b", album="a1", model="m1", model_version="v1").model_dump(
    mode="json"
)


async def test_the_nearest_scope_wins(as_service: Clients) -> None:
    baile = as_service("baile")
    await as_service("orion").register("orion", "queue", LIMIT)
    with pytest.raises(NotFound):
        await baile.get("orion", "queue")
    await baile.set("orion", "queue", {"limit": 1}, scope="installation", version=None)
    await baile.set("orion", "queue", {"limit": 2}, scope="organisation", version=None, organisation="acme")
    await baile.set("orion", "queue", {"limit": 3}, scope="project", version=None, organisation="acme", project="p1")
    for options, limit, scope in (
        ({}, 1, "installation"),
        ({"organisation": "rival"}, 1, "installation"),
        ({"organisation": "acme"}, 2, "organisation"),
        ({"organisation": "acme", "project": "p2"}, 2, "organisation"),
        ({"organisation": "acme", "project": "p1"}, 3, "project"),
    ):
        entry = await baile.get("orion", "queue", **options)
        assert (entry.value["limit"], entry.scope) == (limit, scope)
    await baile.remove("orion", "queue", scope="organisation", organisation="acme")
    assert (await baile.get("orion", "queue", organisation="acme")).value == {"limit": 1}


async def test_changes_name_the_version_that_they_replace(as_service: Clients) -> None:
    baile = as_service("baile")
    first = await baile.set("storage", "profile", {"name": "a", "url": "s3://a"}, scope="installation", version=None)
    with pytest.raises(Conflict):
        await baile.set("storage", "profile", {"name": "b", "url": "s3://b"}, scope="installation", version=None)
    await asyncio.sleep(0.05)  # the announcement is cleared from the document; the version that callers see stays
    second = await baile.set(
        "storage", "profile", {"name": "b", "url": "s3://b"}, scope="installation", version=first.version
    )
    assert (first.version, second.version) == (1, 2)
    with pytest.raises(PreconditionFailed):
        await baile.set("storage", "profile", {"name": "c", "url": "s3://c"}, scope="installation", version=1)
    await baile.remove("storage", "profile", scope="installation")
    await baile.remove("storage", "profile", scope="installation")
    with pytest.raises(NotFound):
        await baile.get("storage", "profile")
    fourth = await baile.save("storage", "profile", {"name": "d", "url": "s3://d"}, scope="installation")
    same = await baile.save("storage", "profile", {"name": "d", "url": "s3://d"}, scope="installation")
    assert fourth.version == same.version == 4
    past = await baile.history("installation", "storage", "profile")
    assert [(p.version, p.deleted, p.value and p.value["name"]) for p in past] == [
        (1, False, "a"),
        (2, False, "b"),
        (3, True, None),
    ]


async def test_one_of_many_concurrent_changes_wins(as_service: Clients) -> None:
    baile = as_service("baile")
    await baile.set("job.train", "limits", {"max_run_s": 1}, scope="installation", version=None)
    outcomes = await asyncio.gather(
        *(baile.set("job.train", "limits", {"max_run_s": n}, scope="installation", version=1) for n in range(2, 18)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 15
    await asyncio.gather(
        *(baile.save("job.train", "limits", {"max_run_s": n}, scope="installation") for n in range(20, 28))
    )
    assert (await baile.get("job.train", "limits")).version == 10
    assert [past.version for past in await baile.history("installation", "job.train", "limits")] == list(range(1, 10))


async def test_values_have_types(as_service: Clients) -> None:
    baile, orion = as_service("baile"), as_service("orion")
    with pytest.raises(BadInput, match="no type yet"):
        await baile.save("orion", "queue", {"limit": 1}, scope="installation")
    await orion.register("orion", "qu*", {"type": "string"})
    await orion.register("orion", "queue", LIMIT)
    await baile.save("orion", "quota", "text", scope="installation")
    with pytest.raises(BadInput) as refused:
        await baile.save("orion", "queue", {"limit": 0}, scope="installation")
    assert refused.value.field == "value.limit"
    with pytest.raises(BadInput):
        await orion.register("orion", "bad", {"type": "nonsense"})
    with pytest.raises(BadInput):
        await orion.register("orion", "remote", {"$ref": "http://127.0.0.1:1/schema.json"})
    await orion.register("orion", "loose", {"$ref": "#/$defs/nowhere"})
    with pytest.raises(BadInput):
        await baile.save("orion", "loose", 1, scope="installation")
    await baile.save("taurus", "stream_s1", STREAM, scope="organisation", organisation="acme")
    with pytest.raises(BadInput) as wrong:
        await baile.save("taurus", "stream_s1", {**STREAM, "batch_size": 0}, scope="organisation", organisation="acme")
    assert wrong.value.field == "value.batch_size"
    with pytest.raises(TooLarge):
        await baile.save("orion", "quota", "x" * 40_000, scope="installation")


async def test_who_may_write(as_service: Clients) -> None:
    taurus, worker = as_service("taurus"), as_service("worker")
    for client in (worker, as_service("pegasus")):
        with pytest.raises(Forbidden):
            await client.save("storage", "profile", {"name": "a", "url": "x"}, scope="installation")
    with pytest.raises(Forbidden):
        await taurus.register("orion", "queue", LIMIT)
    await taurus.register("taurus", "pace", LIMIT)
    await taurus.save("taurus", "pace", {"limit": 3}, scope="installation")
    with pytest.raises(Forbidden):
        await taurus.save("taurus", "pace", {"limit": 4}, scope="installation", organisation="acme")
    with pytest.raises(Forbidden):
        await taurus.save("taurus", "pace", {"limit": 3}, scope="organisation")
    for bad in ("../x", "a b", "UPPER"):
        with pytest.raises((BadInput, NotFound)):
            await taurus.get(bad, "pace")


async def test_lists_show_an_organisation_its_own(as_service: Clients) -> None:
    baile = as_service("baile")
    for organisation in ("acme", "rival"):
        for n in range(3):
            await baile.save("taurus", f"stream_{n}", STREAM, scope="organisation", organisation=organisation)
    await baile.save("storage", "profile", {"name": "a", "url": "x"}, scope="installation")
    everything = [entry async for entry in as_service("taurus").list(service="taurus", prefix="stream_")]
    assert len(everything) == 6
    own = [entry async for entry in baile.list(organisation="acme")]
    assert {entry.organisation for entry in own} == {"acme", "system"} and len(own) == 4


async def test_every_change_is_announced_once_the_bus_is_there(argo: Argo, as_service: Clients, bus: Bus) -> None:
    await bus.declare(Queue("watch.v1", bindings=("config.changed",)))
    baile = as_service("baile")
    await baile.save("taurus", "stream_s1", STREAM, scope="organisation", organisation="acme")
    await baile.remove("taurus", "stream_s1", scope="organisation", organisation="acme")
    seen: dict[int, ConfigChanged] = {}
    async with bus.consume("watch.v1") as consumer:
        while len(seen) < 2:
            for delivery in await consumer.get(10, 20):
                envelope = decode(delivery.body)
                assert isinstance(envelope.data, ConfigChanged) and envelope.organisation == "acme"
                seen[envelope.data.version] = envelope.data
                await delivery.ack()
    assert [(seen[n].key, seen[n].deleted, seen[n].scope) for n in (1, 2)] == [
        ("stream_s1", False, "organisation"),
        ("stream_s1", True, "organisation"),
    ]


async def test_what_was_not_announced_is_swept_up(argo: Argo, as_service: Clients, bus: Bus) -> None:
    await bus.declare(Queue("watch.v1", bindings=("config.changed",)))
    await argo.outbox.stop()  # as if it had died between the write and the announcement
    await as_service("baile").save("storage", "profile", {"name": "a", "url": "x"}, scope="installation")
    assert await bus.depth("watch.v1") == 0
    assert await argo.outbox.sweep() == 0
    assert await argo.outbox.sweep(grace_s=-1) == 1
    assert await bus.depth("watch.v1") == 1
    assert await argo.outbox.sweep(grace_s=-1) == 0


async def test_preconditions_over_plain_http(argo: Argo, keys: TokenKeys) -> None:
    headers = {"Authorization": f"Bearer {keys.sign(Caller('baile', 'system'), 'argo')}"}
    transport = httpx.ASGITransport(argo.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://argo", headers=headers) as http:
        path, body = "/v1/config/storage/profile?scope=installation", {"value": {"name": "a", "url": "x"}}
        assert (await http.put(path, json=body)).status_code == 428
        made = await http.put(path, json=body, headers={"If-None-Match": "*"})
        assert (made.status_code, made.headers["etag"]) == (200, '"1"')
        assert (await http.put(path, json=body, headers={"If-None-Match": "*"})).status_code == 409
        assert (await http.put(path, json=body, headers={"If-Match": '"7"'})).status_code == 412
        assert (await http.put(path, json=body, headers={"If-Match": "x"})).status_code == 400
        assert (await http.delete(path)).status_code == 428
        assert (await http.get(path)).headers["etag"] == '"1"'
        assert (await http.get("/v1/config/storage/none?scope=installation")).status_code == 404
        bound = keys.sign(Caller("worker", "acme", ("secret:x",), "j1", 1), "argo")
        refused = await http.get("/v1/config/storage/profile", headers={"Authorization": f"Bearer {bound}"})
        assert refused.status_code == 403
