"""Elasticsearch: answers that are lost, servers that are gone, stores that are not durable, refused credentials."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from elasticsearch import AsyncElasticsearch

from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.documents.names import index_of
from studio9_common.documents.port import DocumentsUnavailable, NotDurable, VersionConflict, Write
from studio9_common.ids import new_id

from .conftest import DIARY, THINGS, tidy
from .proxy import Proxy


@pytest.fixture
async def proxy(elasticsearch_url: str) -> AsyncIterator[Proxy]:
    parts = urlsplit(elasticsearch_url)
    async with Proxy(parts.hostname or "", parts.port or 9200, b"/_bulk") as proxy:
        proxy.url = proxy.url.replace("http://", f"http://{parts.netloc.rpartition('@')[0]}@".replace("//@", "//"))
        yield proxy


@pytest.fixture
async def behind(elasticsearch_url: str, proxy: Proxy, prefix: str) -> AsyncIterator[ElasticsearchDocuments]:
    """A store behind the proxy that soon gives up waiting; its indexes are made and warm, which may take longer."""
    patient = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    await patient.ensure(THINGS, DIARY)
    await patient.put("things", "warm", {"count": 0})
    documents = ElasticsearchDocuments.connect(proxy.url, prefix=prefix, timeout_s=1.0)
    await documents.ensure(THINGS, DIARY)
    yield documents
    await documents.close()
    await tidy(patient)
    await patient.close()


@pytest.mark.parametrize("hold_s", [0.0, 1.2])
async def test_a_write_whose_answer_was_lost_is_found_again(
    behind: ElasticsearchDocuments, proxy: Proxy, hold_s: float
) -> None:
    first = await behind.create("things", "one", {"count": 1})
    proxy.hold_s = hold_s
    proxy.lose_answers = 1
    second = await behind.replace("things", "one", {"count": 2}, first)
    stored = await behind.get("things", "one")
    assert proxy.lost == 1 and stored.body == {"count": 2} and stored.version == second
    proxy.lose_answers = 1
    assert await behind.create("things", "two", {"count": 1}) == (await behind.get("things", "two")).version
    proxy.lose_answers = 1
    await behind.delete("things", "two")
    assert await behind.get_many([("things", "two")]) == [None]


async def test_a_lost_bulk_is_settled_item_by_item(behind: ElasticsearchDocuments, proxy: Proxy) -> None:
    version = await behind.create("things", "there", {"count": 1})
    proxy.lose_answers = 1
    outcomes = await behind.bulk(
        [
            Write("create", "things", "new", {"count": 1}),
            Write("create", "things", "there", {"count": 2}),
            Write("replace", "things", "there", {"count": 3}, version),
            Write("replace", "things", "warm", {"count": 3}, "99.1"),
        ]
    )
    assert [outcome.error and type(outcome.error) for outcome in outcomes] == [
        None,
        VersionConflict,
        None,
        VersionConflict,
    ]


async def test_a_write_that_never_arrived_is_not_claimed(behind: ElasticsearchDocuments, proxy: Proxy) -> None:
    version = await behind.create("things", "one", {"count": 1})
    proxy.refuse = True
    for write in (
        behind.create("things", "two", {"count": 1}),
        behind.replace("things", "one", {"count": 2}, version),
        behind.put("things", "one", {"count": 2}),
        behind.delete("things", "one", version),
    ):
        with pytest.raises(DocumentsUnavailable):
            await write
    proxy.refuse = False
    assert (await behind.get("things", "one")).version == version
    assert await behind.get_many([("things", "two")]) == [None]


async def test_writers_waiting_behind_a_lost_answer_are_served(behind: ElasticsearchDocuments, proxy: Proxy) -> None:
    proxy.lose_answers = 1
    versions = await asyncio.gather(*(behind.create("things", f"{n}", {"count": n}) for n in range(100)))
    assert proxy.lost == 1 and len(set(versions)) == 100
    assert all(await behind.get_many([("things", f"{n}") for n in range(100)]))


async def test_a_server_that_is_gone_is_unavailable(prefix: str) -> None:
    documents = ElasticsearchDocuments.connect("http://127.0.0.1:1", prefix=prefix)
    for call in (documents.ping(), documents.ensure(THINGS)):
        with pytest.raises(DocumentsUnavailable):
            await call
    await documents.close()


async def test_refused_credentials_are_told(elasticsearch_url: str, prefix: str) -> None:
    parts = urlsplit(elasticsearch_url)
    if not parts.username:
        pytest.skip("this server asks for no credentials")
    url = f"{parts.scheme}://{parts.username}:wrong@{parts.hostname}:{parts.port}"
    documents = ElasticsearchDocuments.connect(url, prefix=prefix)
    with pytest.raises(DocumentsUnavailable, match="refuses our credentials") as refusal:
        await documents.ensure(THINGS)
    assert "wrong" not in str(refusal.value.problem())
    await documents.close()


async def test_it_refuses_an_index_that_does_not_sync_each_write(elasticsearch_url: str, prefix: str) -> None:
    documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    await documents.ensure(THINGS)
    await documents.put("things", "one", {"count": 1})
    async with AsyncElasticsearch(elasticsearch_url) as client:
        name = f"{prefix}-things"
        settings = await client.indices.get_settings(index=name, flat_settings=True)
        assert settings.body[name]["settings"]["index.translog.durability"] == "request"
        await client.indices.put_settings(index=name, settings={"index.translog.durability": "async"})
        with pytest.raises(NotDurable) as refusal:
            await documents.ensure(THINGS)
        assert name in refusal.value.message and refusal.value.fix
    await tidy_things(documents)


async def test_the_store_itself_refuses_unknown_fields(elasticsearch_url: str, prefix: str) -> None:
    documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    await documents.ensure(THINGS)
    await documents.put("things", "one", {"count": 1})
    async with AsyncElasticsearch(elasticsearch_url) as client:
        mapping = await client.indices.get_mapping(index=f"{prefix}-things")
    assert mapping.body[f"{prefix}-things"]["mappings"]["dynamic"] == "strict"
    await tidy_things(documents)


async def test_a_search_may_lag_as_far_as_the_family_says(elasticsearch_url: str, prefix: str) -> None:
    documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    async with AsyncElasticsearch(elasticsearch_url) as client:
        for lag_s in (None, 5):  # the second time the template is there already
            await documents.ensure(replace(THINGS, lag_s=lag_s))
            await documents.drop("things")
            await documents.put("things", "one", {"count": 1})
            settings = await client.indices.get_settings(index=f"{prefix}-things", flat_settings=True)
            found = settings.body[f"{prefix}-things"]["settings"].get("index.refresh_interval")
            assert found == (None if lag_s is None else "5s")
            assert (await documents.search("things", fresh=True)).hits
    await tidy_things(documents)


async def test_a_month_whose_index_is_not_ready_is_never_left_out(elasticsearch_url: str, prefix: str) -> None:
    """As at the first write of a month, or with the index's node away: fewer documents are not an answer."""
    documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    await documents.ensure(THINGS, DIARY)
    id = new_id()
    await documents.create(index_of(DIARY, id), id, {"page": 1})
    assert await documents.count("diary", fresh=True) == 1
    nowhere = {"index.routing.allocation.require._name": "nobody"}
    async with AsyncElasticsearch(elasticsearch_url) as client:
        await client.indices.create(index=f"{prefix}-diary-2000.01", settings=nowhere, wait_for_active_shards=0)
    for ask in (documents.count, documents.search):
        with pytest.raises(DocumentsUnavailable):
            await ask("diary")
    await tidy(documents)
    await documents.close()


async def test_an_index_of_before_lags_as_the_family_now_says(elasticsearch_url: str, prefix: str) -> None:
    documents = ElasticsearchDocuments.connect(elasticsearch_url, prefix=prefix)
    await documents.ensure(THINGS)
    await documents.put("things", "one", {"count": 1})
    async with AsyncElasticsearch(elasticsearch_url) as client:
        for lag_s, expected in ((5, "5s"), (5, "5s"), (7, "7s"), (None, "7s")):
            await documents.ensure(replace(THINGS, lag_s=lag_s))
            settings = await client.indices.get_settings(index=f"{prefix}-things", flat_settings=True)
            assert settings.body[f"{prefix}-things"]["settings"]["index.refresh_interval"] == expected
    assert (await documents.search("things", fresh=True)).hits
    await tidy_things(documents)


async def tidy_things(documents: ElasticsearchDocuments) -> None:
    await documents.drop("things")
    await documents.forget("things")
    await documents.close()
