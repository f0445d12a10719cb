"""Create, get, replace, put, delete, bulk: versions and per-item outcomes."""

import pytest

from studio9_common.documents.port import DocumentMissing, Documents, DocumentsUnavailable, VersionConflict, Write
from studio9_common.errors import BadInput
from studio9_common.ids import new_id

BODY = {
    "organisation": "acme",
    "state": "new",
    "labels": ["a", "b"],
    "count": 3,
    "score": 0.5,
    "done": False,
    "created_at": "2026-11-21T11:17:04.123456Z",
    "detail": {"deep": [{"x": None}, "ü – 🦆"], "n": 9_007_199_254_740_993},
}


async def test_what_is_written_is_read_at_once(documents: Documents) -> None:
    version = await documents.create("things", "one", BODY)
    stored = await documents.get("things", "one")
    assert (stored.index, stored.id, stored.version, stored.body) == ("things", "one", version, BODY)


async def test_create_refuses_an_existing_id(documents: Documents) -> None:
    version = await documents.create("things", "one", {"state": "first"})
    with pytest.raises(VersionConflict):
        await documents.create("things", "one", {"state": "second"})
    stored = await documents.get("things", "one")
    assert stored.body == {"state": "first"} and stored.version == version


async def test_replace_needs_the_current_version(documents: Documents) -> None:
    first = await documents.create("things", "one", {"count": 1})
    second = await documents.replace("things", "one", {"count": 2}, first)
    assert second != first
    for stale in (first, "9999999.1", "nonsense", ""):
        with pytest.raises(VersionConflict):
            await documents.replace("things", "one", {"count": 3}, stale)
    assert (await documents.get("things", "one")).body == {"count": 2}
    with pytest.raises(DocumentMissing):
        await documents.replace("things", "nobody", {"count": 2}, second)


async def test_put_overwrites_whatever_is_there(documents: Documents) -> None:
    first = await documents.put("things", "one", {"count": 1, "state": "x"})
    second = await documents.put("things", "one", {"count": 2})
    stored = await documents.get("things", "one")
    assert stored.body == {"count": 2} and stored.version == second != first


async def test_delete_with_and_without_version(documents: Documents) -> None:
    old = await documents.create("things", "one", {"count": 1})
    new = await documents.replace("things", "one", {"count": 2}, old)
    with pytest.raises(VersionConflict):
        await documents.delete("things", "one", old)
    await documents.delete("things", "one", new)
    with pytest.raises(DocumentMissing):
        await documents.get("things", "one")
    with pytest.raises(DocumentMissing):
        await documents.delete("things", "one")
    with pytest.raises(DocumentMissing):
        await documents.delete("things", "one", new)
    await documents.create("things", "two", {})
    await documents.delete("things", "two")
    assert await documents.get_many([("things", "two")]) == [None]


async def test_a_version_never_comes_back(documents: Documents) -> None:
    first = await documents.create("things", "one", {"count": 1})
    await documents.delete("things", "one", first)
    second = await documents.create("things", "one", {"count": 1})
    assert second != first
    with pytest.raises(VersionConflict):
        await documents.replace("things", "one", {"count": 2}, first)


async def test_get_many_keeps_the_order_and_the_gaps(documents: Documents) -> None:
    entry = new_id()
    await documents.create("things", "a", {"count": 1})
    await documents.create("things", "b", {"count": 2})
    found = await documents.get_many(
        [("things", "b"), ("things", "none"), ("diary-2001.01", entry), ("things", "a"), ("things", "b")]
    )
    assert [stored and stored.id for stored in found] == ["b", None, None, "a", "b"]
    assert await documents.get_many([]) == []


async def test_bulk_gives_each_write_its_own_outcome(documents: Documents) -> None:
    first = await documents.create("things", "there", {"count": 1})
    outcomes = await documents.bulk(
        [
            Write("create", "things", "new", {"count": 1}),
            Write("create", "things", "there", {"count": 2}),
            Write("replace", "things", "there", {"count": 3}, first),
            Write("replace", "things", "there", {"count": 4}, first),
            Write("replace", "things", "gone", {"count": 5}, first),
            Write("put", "things", "put", {"count": 6}),
            Write("put", "things", "bad", {"count": "many"}),
            Write("put", "things", "worse", {"unknown": 1}),
            Write("delete", "things", "gone"),
            Write("put", "unheard_of", "x", {"count": 1}),
            Write("delete", "things", "put"),
        ]
    )
    codes = [outcome.error and outcome.error.code for outcome in outcomes]
    assert codes == [
        None,
        "conflict",
        None,
        "conflict",
        "not_found",
        None,
        "mapping_conflict",
        "mapping_conflict",
        "not_found",
        "bad_input",
        None,
    ]
    stored = await documents.get("things", "there")
    assert stored.body == {"count": 3} and stored.version == outcomes[2].version
    assert await documents.bulk([]) == []


async def test_a_large_bulk_is_written_whole(documents: Documents) -> None:
    writes = [Write("put", "things", f"{n:05}", {"count": n, "detail": "x" * 200}) for n in range(2_500)]
    outcomes = await documents.bulk(writes)
    assert all(outcome.version for outcome in outcomes)
    assert await documents.count("things", fresh=True) == 2_500


@pytest.mark.parametrize("id", ["", "x" * 600, "line\nbreak"])
async def test_an_id_that_no_store_can_hold_is_refused(documents: Documents, id: str) -> None:
    with pytest.raises(BadInput):
        await documents.create("things", id, {"count": 1})


@pytest.mark.parametrize("id", ["../things", "a/b?c=d#e", "%2F", "ü – 🦆", "job:3:0001", "_underscore"])
async def test_any_printable_id_is_kept_as_it_is(documents: Documents, id: str) -> None:
    await documents.create("things", id, {"count": 1})
    assert (await documents.get("things", id)).id == id
    assert [hit.id for hit in (await documents.search("things", fresh=True)).hits] == [id]


async def test_an_unknown_index_is_refused(documents: Documents) -> None:
    for index in ("unheard_of", "diary", "things-2026.11", "Things", "things,diary-2026.11", "*", "../x"):
        with pytest.raises(BadInput):
            await documents.put(index, "x", {"page": 1})
        with pytest.raises(BadInput):
            await documents.get(index, "x")


async def test_a_ping_says_whether_the_store_can_be_reached(documents: Documents, out_of_reach: Documents) -> None:
    await documents.ping()
    with pytest.raises(DocumentsUnavailable):
        await out_of_reach.ping()
