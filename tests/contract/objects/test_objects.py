"""What the objects port promises about creating, reading, listing and deleting."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from studio9_common.errors import BadInput
from studio9_common.objects.port import (
    BadKey,
    ChecksumMismatch,
    ObjectExists,
    ObjectMissing,
    Objects,
    ObjectsUnavailable,
)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_an_object_comes_back_with_all_that_was_said_about_it(objects: Objects) -> None:
    data = b"not really a picture"
    before = datetime.now(UTC).timestamp()
    made = await objects.put(
        "org/pictures/a", data, content_type="image/png", sha256=sha(data), metadata={"file-name": "Käfer 100%.png"}
    )
    info = await objects.head("org/pictures/a")
    assert (info.key, info.size, info.sha256, info.content_type) == ("org/pictures/a", 20, sha(data), "image/png")
    assert info.metadata == made.metadata == {"file-name": "Käfer 100%.png"}
    assert abs(info.modified.timestamp() - before) < 30
    assert info.modified.tzinfo is not None
    assert await objects.get("org/pictures/a") == data
    assert objects.profile == "test"


async def test_content_may_come_as_bytes_as_a_file_and_in_pieces(objects: Objects, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    made = [
        await objects.put("o/bytes", data),
        await objects.put("o/file", source),
        await objects.put("o/pieces", pieces(data, 7_001)),
    ]
    assert [info.sha256 for info in made] == [sha(data)] * 3
    assert [await objects.get(f"o/{name}") for name in ("bytes", "file", "pieces")] == [data] * 3


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    await objects.put("o/empty", b"")
    assert (await objects.head("o/empty")).size == 0
    assert await objects.get("o/empty") == b""
    assert [chunk async for chunk in await objects.stream("o/empty")] == []


async def test_the_same_content_again_is_success_and_other_content_is_refused(objects: Objects) -> None:
    first = await objects.put("o/key", b"one", content_type="text/plain")
    again = await objects.put("o/key", b"one", content_type="text/html")
    assert again.sha256 == first.sha256
    with pytest.raises(ObjectExists):
        await objects.put("o/key", b"two")
    assert await objects.get("o/key") == b"one"
    assert (await objects.head("o/key")).content_type == "text/plain"


@pytest.mark.parametrize("size", [1_000, 33 << 20], ids=["small", "in parts"])
async def test_of_eight_writers_at_once_one_wins(objects: Objects, tmp_path: Path, size: int) -> None:
    contents = []
    for number in range(8):
        path = tmp_path / f"content{number}"
        path.write_bytes(bytes([number]) * size)
        contents.append(path)
    results = await asyncio.gather(*(objects.put("o/race", path) for path in contents), return_exceptions=True)
    winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert all(isinstance(result, ObjectExists) for number, result in enumerate(results) if number not in winners)
    assert await objects.get("o/race", length=10) == bytes(winners) * 10
    assert (await objects.head("o/race")).size == size


async def test_eight_writers_of_the_same_content_all_succeed(objects: Objects) -> None:
    made = await asyncio.gather(*(objects.put("o/same", b"same") for _ in range(8)))
    assert {info.sha256 for info in made} == {sha(b"same")}


async def test_damaged_content_is_refused_and_leaves_nothing(objects: Objects, tmp_path: Path) -> None:
    wrong = sha(b"something else")
    source = tmp_path / "source"
    source.write_bytes(b"data")
    for data in (b"data", source, pieces(b"data", 2)):
        with pytest.raises(ChecksumMismatch):
            await objects.put("o/damaged", data, sha256=wrong)
    with pytest.raises(ObjectMissing):
        await objects.head("o/damaged")
    assert [info async for info in objects.list("o")] == []


async def test_a_source_that_fails_leaves_nothing(objects: Objects) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError):
        await objects.put("o/broken", broken())
    with pytest.raises(ObjectMissing):
        await objects.get("o/broken")


async def test_parts_of_an_object_can_be_read(objects: Objects) -> None:
    await objects.put("o/digits", b"0123456789")
    assert await objects.get("o/digits", start=3) == b"3456789"
    assert await objects.get("o/digits", start=3, length=2) == b"34"
    assert await objects.get("o/digits", start=8, length=100) == b"89"
    assert await objects.get("o/digits", start=10) == b""
    assert await objects.get("o/digits", start=99, length=1) == b""
    assert await objects.get("o/digits", length=0) == b""
    with pytest.raises(BadInput):
        await objects.get("o/digits", start=-1)


async def test_a_large_object_streams_in_chunks_and_downloads_whole(objects: Objects, tmp_path: Path) -> None:
    data = os.urandom(9 << 20)
    await objects.put("o/large", data)
    chunks = [chunk async for chunk in await objects.stream("o/large", chunk=4 << 20)]
    assert [len(chunk) for chunk in chunks] == [4 << 20, 4 << 20, 1 << 20]
    assert b"".join(chunks) == data
    assert await objects.get("o/large") == data
    target = tmp_path / "target"
    info = await objects.download("o/large", target, sha256=sha(data))
    assert info.size == len(data)
    assert target.read_bytes() == data


async def test_a_download_that_is_not_what_was_expected_leaves_no_file(objects: Objects, tmp_path: Path) -> None:
    await objects.put("o/key", b"data")
    (tmp_path / "target").write_bytes(b"old")
    with pytest.raises(ChecksumMismatch):
        await objects.download("o/key", tmp_path / "target", sha256=sha(b"other"))
    with pytest.raises(ObjectMissing):
        await objects.download("o/none", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"old"
    assert [name for name in os.listdir(tmp_path) if "target" in name] == ["target"]


async def test_what_is_missing_is_said_to_be_missing(objects: Objects) -> None:
    for attempt in (objects.get("o/none"), objects.head("o/none"), objects.stream("o/none")):
        with pytest.raises(ObjectMissing):
            await attempt
    await objects.delete("o/none")


KEYS = ["o/a b", "o/ü/…/日本", "o/100%", "o/%2F", "o/a+b&c=d", "o/#?*[x]{}", "o/\\back'\"<>|^`~", "o/.hidden", "o/..."]


@pytest.mark.parametrize(
    "key", [*KEYS, "o/" + "k" * 150 + "/" + "ü" * 60, "o/" + "/".join(["abcdefg"] * 126) + "/1234567"]
)
async def test_odd_keys_are_only_text(objects: Objects, key: str) -> None:
    assert len(key.encode()) <= 1024
    await objects.put(key, key.encode())
    assert await objects.get(key) == key.encode()
    assert [info.key async for info in objects.list("o/")] == [key]
    await objects.delete(key)
    with pytest.raises(ObjectMissing):
        await objects.head(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/./b",
        "../a",
        "a/..",
        "a/../../etc/passwd",
        "a\x00b",
        "a\nb",
        "k" * 1025,
        "a\ud800",
    ],
)
async def test_bad_keys_are_refused_everywhere(objects: Objects, key: str, tmp_path: Path) -> None:
    for attempt in (
        objects.put(key, b""),
        objects.get(key),
        objects.head(key),
        objects.delete(key),
        objects.download(key, tmp_path / "x"),
        objects.signed_url(key),
    ):
        with pytest.raises(BadKey):
            await attempt


async def test_metadata_that_cannot_travel_is_refused(objects: Objects) -> None:
    for bad in ({"Upper": "x"}, {"sha256": "x"}, {"a b": "x"}, {"big": "x" * 2_100}):
        with pytest.raises(BadInput):
            await objects.put("o/key", b"", metadata=bad)


async def test_a_list_is_in_key_order_below_whole_parts_and_can_go_on(objects: Objects) -> None:
    keys = ["o/a-b", "o/a.b", "o/a/1", "o/a/2", "o/a0", "o/ab", "o/b/c/d", "p/a"]
    for key in reversed(keys):
        await objects.put(key, key.encode())
    listed = [info async for info in objects.list("o/")]
    assert [info.key for info in listed] == keys[:-1]
    assert [info.size for info in listed] == [len(key) for key in keys[:-1]]
    assert [info.key async for info in objects.list("o/a")] == ["o/a/1", "o/a/2"]
    assert [info.key async for info in objects.list("o", after="o/a/1")] == keys[3:-1]
    assert [info.key async for info in objects.list("")] == keys
    assert [info.key async for info in objects.list("nothing/")] == []


async def test_a_prefix_is_deleted_as_a_whole_and_nothing_beside_it(objects: Objects) -> None:
    for key in ("o/jobs/1/a", "o/jobs/1/b/c", "o/jobs/10/a", "o/jobs/2/a"):
        await objects.put(key, b"x")
    assert await objects.delete_prefix("o/jobs/1/") == 2
    assert [info.key async for info in objects.list("o")] == ["o/jobs/10/a", "o/jobs/2/a"]
    assert await objects.delete_prefix("o/jobs/1/") == 0
    with pytest.raises(BadInput):
        await objects.delete_prefix("o/jobs/1")


async def test_a_key_is_free_again_after_its_object_was_deleted(objects: Objects) -> None:
    await objects.put("o/key", b"one")
    await objects.delete("o/key")
    await objects.put("o/key", b"two")
    assert await objects.get("o/key") == b"two"


async def test_a_ping_says_whether_the_storage_can_be_reached(objects: Objects, out_of_reach: Objects) -> None:
    await objects.ping()
    with pytest.raises(ObjectsUnavailable):
        await out_of_reach.ping()
