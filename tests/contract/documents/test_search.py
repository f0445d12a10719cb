"""Conditions, order, stable paging, counts."""

import asyncio
from typing import Any

import pytest

from studio9_common.documents.port import Documents, Where, Write
from studio9_common.errors import BadInput

BODIES: dict[str, dict[str, Any]] = {
    "a": {"state": "new", "labels": ["gpu", "fast"], "count": 1, "score": 0.5, "done": True},
    "b": {"state": "old", "labels": ["cpu"], "count": 2, "score": -1, "done": False},
    "c": {"state": "new", "labels": [], "count": 2, "created_at": "2026-11-21T11:17:04.123456Z"},
    "d": {"state": "newer", "labels": "gpu", "count": -5, "created_at": "2026-11-21T11:17:04.123457Z"},
    "e": {"score": 2.25, "created_at": "2027-01-01T00:00:00.000000Z", "detail": {"state": "new"}},
}


@pytest.fixture
async def filled(documents: Documents) -> Documents:
    await documents.bulk([Write("create", "things", id, body) for id, body in BODIES.items()])
    return documents


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), "abcde"),
        (Where(equals={"state": "new"}), "ac"),
        (Where(equals={"state": ("old", "newer")}), "bd"),
        (Where(equals={"state": ()}), ""),
        (Where(equals={"state": None}), "e"),
        (Where(equals={"state": ("old", None)}), "be"),
        (Where(equals={"labels": "gpu"}), "ad"),
        (Where(equals={"labels": ("cpu", "fast")}), "ab"),
        (Where(equals={"labels": None}), "ce"),
        (Where(differs={"labels": "gpu"}), "bce"),
        (Where(differs={"state": "new"}), "bde"),
        (Where(differs={"state": ("new", None)}), "bd"),
        (Where(differs={"state": None}), "abcd"),
        (Where(equals={"done": True}), "a"),
        (Where(equals={"done": False}), "b"),
        (Where(equals={"count": 2, "state": "new"}), "c"),
        (Where(equals={"score": -1.0}), "b"),
        (Where(at_least={"count": 1}), "abc"),
        (Where(at_least={"count": 1}, below={"count": 2}), "a"),
        (Where(below={"score": 0.5}), "b"),
        (Where(at_least={"created_at": "2026-11-21T11:17:04.123457Z"}), "de"),
        (Where(below={"created_at": "2026-11-21T11:17:04.123457Z"}), "c"),
        (Where(equals={"created_at": "2026-11-21T11:17:04.123456Z"}), "c"),
        (Where(prefix={"state": "new"}), "acd"),
        (Where(prefix={"labels": "g"}), "ad"),
        (Where(equals={"id": ("a", "e", "z")}), "ae"),
        (Where(prefix={"id": "b"}), "b"),
        (Where(at_least={"id": "c"}, below={"id": "e"}), "cd"),
    ],
)
async def test_conditions(filled: Documents, where: Where, expected: str) -> None:
    page = await filled.search("things", where, fresh=True, total=True)
    assert "".join(hit.id for hit in page.hits) == expected
    assert page.total == len(expected) and page.next is None
    assert await filled.count("things", where, fresh=True) == len(expected)
    for hit in page.hits:
        assert hit.body == BODIES[hit.id] and hit.version == (await filled.get("things", hit.id)).version


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (["count"], "dabce"),
        (["-count"], "bcade"),
        (["state", "-count"], "cadbe"),
        (["-created_at"], "edcab"),
        (["created_at"], "cdeab"),
        (["score"], "baecd"),
        (["done"], "bacde"),
        (["-id"], "edcba"),
        (["-state", "-id"], "bdcae"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_order_and_pages(filled: Documents, sort: list[str], expected: str, limit: int) -> None:
    seen, after = "", None
    while True:
        page = await filled.search("things", sort=sort, limit=limit, after=after, fresh=after is None)
        seen += "".join(hit.id for hit in page.hits)
        after = page.next
        if after is None:
            break
    assert seen == expected


async def test_pages_are_stable_under_inserts(documents: Documents) -> None:
    await documents.bulk([Write("create", "things", f"{n:04}", {"count": n % 7}) for n in range(0, 1_000, 2)])
    seen: list[str] = []
    after: str | None = None
    inserted = 1
    while True:
        page = await documents.search("things", sort=["count"], limit=50, after=after, fresh=True)
        seen += [hit.id for hit in page.hits]
        after = page.next
        if after is None:
            break
        await asyncio.gather(
            *(
                documents.create("things", f"{n:04}", {"count": n % 7})
                for n in range(inserted, min(inserted + 40, 1_000), 2)
            )
        )
        inserted += 40
    assert len(seen) == len(set(seen))
    assert {f"{n:04}" for n in range(0, 1_000, 2)} <= set(seen)


async def test_a_fresh_search_sees_every_acknowledged_write(documents: Documents) -> None:
    for n in range(5):
        await documents.put("things", str(n), {"count": n})
        assert len((await documents.search("things", fresh=True)).hits) == n + 1


async def test_a_search_before_the_first_write_finds_nothing(documents: Documents) -> None:
    page = await documents.search("things", Where(equals={"state": "new"}), sort=["count"], total=True)
    assert (page.hits, page.next, page.total) == ([], None, 0)
    assert await documents.count("diary") == 0


@pytest.mark.parametrize(
    "where",
    [
        Where(equals={"unknown": 1}),
        Where(equals={"detail": "x"}),
        Where(equals={"count": "x"}),
        Where(differs={"done": "x"}),
        Where(at_least={"state": "x"}),
        Where(below={"created_at": "soon"}),
        Where(prefix={"count": "1"}),
        Where(prefix={"state": ""}),
    ],
)
async def test_a_condition_that_cannot_be_answered_is_refused(documents: Documents, where: Where) -> None:
    with pytest.raises(BadInput):
        await documents.search("things", where)
    with pytest.raises(BadInput):
        await documents.count("things", where)


async def test_other_bad_searches_are_refused(filled: Documents) -> None:
    cursor = (await filled.search("things", sort=["count"], limit=2, fresh=True)).next
    for options in (
        {"limit": 0},
        {"limit": 1_001},
        {"sort": ["unknown"]},
        {"sort": ["detail"]},
        {"after": "garbage"},
        {"after": "WyJhIiwxXQ"},
        {"after": cursor, "sort": ["-count"]},
    ):
        with pytest.raises(BadInput):
            await filled.search("things", **options)
