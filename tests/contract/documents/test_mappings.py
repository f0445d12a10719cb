"""Strict fields, checked types, mappings that only grow."""

from typing import Any

import pytest

from studio9_common.documents.connect import open_documents
from studio9_common.documents.port import Documents, DocumentTooLarge, FieldType, Index, MappingConflict
from studio9_common.errors import BadInput
from studio9_common.ids import month_of, new_id

from .conftest import DIARY, THINGS


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"state": 5},
        {"state": {"a": 1}},
        {"state": "x" * 9_000},
        {"count": "5"},
        {"count": 1.5},
        {"count": True},
        {"count": 2**63},
        {"score": "high"},
        {"score": float("nan")},
        {"done": 1},
        {"created_at": "yesterday"},
        {"created_at": "2026-11-21T11:17:04Z"},
        {"created_at": "2026-13-21T11:17:04.000000Z"},
        {"created_at": 1_795_259_824},
        {"detail": {"x": float("inf")}},
        {"detail": "\ud800"},
        {"_key": "x"},
        {"_write": "x"},
        {"_id": "x"},
    ],
)
async def test_what_does_not_fit_is_refused(documents: Documents, body: dict[str, Any]) -> None:
    with pytest.raises(MappingConflict):
        await documents.create("things", "one", body)
    assert await documents.get_many([("things", "one")]) == [None]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": None, "count": None, "score": None, "done": None, "created_at": None, "detail": None},
        {"labels": []},
        {"state": ""},
        {"score": 1},
        {"count": -(2**63)},
        {"detail": "text"},
        {"detail": [1, "two", {"three": 3}]},
        {"extra": {"of a newer version": True}},
        {"detail": "NaN and Infinity are words"},
    ],
)
async def test_what_fits_comes_back_the_same(documents: Documents, body: dict[str, Any]) -> None:
    await documents.create("things", "one", body)
    assert (await documents.get("things", "one")).body == body


async def test_a_document_that_is_too_large_is_refused(documents: Documents) -> None:
    await documents.create("things", "large", {"detail": "x" * 64 * 1024})
    with pytest.raises(DocumentTooLarge):
        await documents.create("things", "larger", {"detail": "x" * 256 * 1024})


async def test_ensure_adds_fields_to_what_exists(documents: Documents) -> None:
    entry = new_id()
    place = f"diary-{month_of(entry)}"
    await documents.create("things", "old", {"count": 1})
    await documents.create(place, entry, {"page": 1})
    await documents.ensure(
        Index("things", {**THINGS.fields, "colour": FieldType.keyword}),
        Index("diary", {**DIARY.fields, "mood": FieldType.keyword}, monthly=True),
    )
    await documents.create("things", "new", {"count": 2, "colour": "red"})
    await documents.put(place, entry, {"page": 1, "mood": "good"})
    await documents.put("diary-2001.01", "x", {"page": 1, "mood": "bad"})
    found = await documents.search("things", sort=["colour"], fresh=True)
    assert [hit.id for hit in found.hits] == ["new", "old"]


async def test_a_type_never_changes(documents: Documents) -> None:
    with pytest.raises(MappingConflict):
        await documents.ensure(Index("things", {**THINGS.fields, "count": FieldType.keyword}))
    await documents.create("things", "one", {"count": 1})


async def test_an_older_service_beside_a_newer_one_takes_nothing_away(
    documents: Documents, documents_url: str, prefix: str
) -> None:
    await documents.ensure(Index("diary", {**DIARY.fields, "mood": FieldType.keyword}, monthly=True))
    older = await open_documents(documents_url, prefix=prefix)
    await older.ensure(THINGS, DIARY)
    await older.put("diary-2002.02", "x", {"page": 1, "mood": "kept by the older one"})
    await documents.ensure(Index("things", {**THINGS.fields, "colour": FieldType.keyword}))
    await older.put("things", "x", {"colour": "red"})
    await older.close()
    assert (await documents.get("things", "x")).body == {"colour": "red"}


@pytest.mark.parametrize(
    "index",
    [Index("Bad", {}), Index("a-b", {}), Index("ok", {"Bad": FieldType.long}), Index("ok", {"id": FieldType.long})],
)
async def test_names_that_no_store_can_hold_are_refused(documents: Documents, index: Index) -> None:
    with pytest.raises(BadInput):
        await documents.ensure(index)
