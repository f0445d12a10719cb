"""Monthly families: the index follows from the id, searches see all months, retention drops one."""

from datetime import UTC, datetime

import pytest

from studio9_common.documents.names import index_of
from studio9_common.documents.port import Documents, Where
from studio9_common.errors import BadInput
from studio9_common.ids import new_id

from .conftest import DIARY, THINGS


def id_of(year: int, month: int) -> str:
    return new_id(now_ms=int(datetime(year, month, 15, tzinfo=UTC).timestamp() * 1000))


async def test_a_family_is_searched_over_all_its_months(documents: Documents) -> None:
    ids = [id_of(2026, 9), id_of(2026, 10), id_of(2026, 12), id_of(2027, 1)]
    for page, id in enumerate(ids):
        await documents.create(index_of(DIARY, id), id, {"page": page, "organisation": "acme"})
    found = await documents.search("diary", Where(at_least={"page": 1}), sort=["-page"], fresh=True, total=True)
    assert [hit.id for hit in found.hits] == ids[:0:-1] and found.total == 3
    assert [hit.index for hit in found.hits] == ["diary-2027.01", "diary-2026.12", "diary-2026.10"]
    assert await documents.count("diary") == 4
    alone = await documents.search("diary-2026.10")
    assert [hit.id for hit in alone.hits] == [ids[1]]
    assert await documents.indexes("diary") == [
        "diary-2026.09",
        "diary-2026.10",
        "diary-2026.12",
        "diary-2027.01",
    ]


async def test_paging_crosses_months(documents: Documents) -> None:
    ids = [id_of(2026, 1 + n % 5) for n in range(20)]
    for page, id in enumerate(ids):
        await documents.create(index_of(DIARY, id), id, {"page": page})
    seen: list[int] = []
    after: str | None = None
    while True:
        found = await documents.search("diary", sort=["page"], limit=3, after=after, fresh=after is None)
        seen += [hit.body["page"] for hit in found.hits]
        after = found.next
        if after is None:
            break
    assert seen == list(range(20))


async def test_dropping_a_month_leaves_the_others(documents: Documents) -> None:
    old, new = id_of(2026, 9), id_of(2026, 10)
    for id in (old, new):
        await documents.create(index_of(DIARY, id), id, {"page": 1})
    await documents.drop("diary-2026.09")
    await documents.drop("diary-2026.09")
    assert await documents.get_many([("diary-2026.09", old), ("diary-2026.10", new)]) != [None, None]
    assert await documents.indexes("diary") == ["diary-2026.10"]
    assert [hit.id for hit in (await documents.search("diary", fresh=True)).hits] == [new]
    await documents.create("diary-2026.09", old, {"page": 2})
    assert (await documents.get("diary-2026.09", old)).body == {"page": 2}


async def test_a_whole_family_is_never_dropped_at_once(documents: Documents) -> None:
    for index in ("diary", "unheard_of"):
        with pytest.raises(BadInput):
            await documents.drop(index)


def test_the_index_follows_from_the_id() -> None:
    id = id_of(2026, 3)
    assert index_of(DIARY, id) == index_of(DIARY, f"{id}:2:00017") == "diary-2026.03"
    assert index_of(THINGS, "anything") == "things"
    with pytest.raises(BadInput):
        index_of(DIARY, "anything")
