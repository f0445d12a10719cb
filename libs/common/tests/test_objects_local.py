"""What is special about the local objects: crashes, several processes, the router's limits, addresses."""

import asyncio
import os
import sys
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from studio9_common.errors import BadInput
from studio9_common.objects.cloud import CloudObjects
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.local import ABANDONED_S, LocalObjects
from studio9_common.objects.local_http import router
from studio9_common.objects.port import ObjectExists, ObjectsUnavailable

WRITER = """
import asyncio, os, sys
from pathlib import Path
from studio9_common.objects.local import LocalObjects

async def content():
    yield b"x" * 3_000_000
    os.kill(os.getpid(), 9)

async def main():
    objects = LocalObjects(Path(sys.argv[1]), base_url="http://x")
    await objects.put("o/whole", b"whole")
    await objects.put("o/half", content())

asyncio.run(main())
"""


async def test_a_killed_writer_leaves_whole_objects_only(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(tmp_path), env=environment)
    assert await writer.wait() == -9
    (left,) = (tmp_path / "incoming").glob("*")
    objects = LocalObjects(tmp_path, base_url="http://x")
    assert [info.key async for info in objects.list("")] == ["o/whole"]
    await objects.put("o/half", b"now")
    assert left.exists(), "it might still be written by another process"
    await objects.close()
    old = time.time() - ABANDONED_S - 1
    os.utime(left, (old, old))
    await LocalObjects(tmp_path, base_url="http://x").close()
    assert not left.exists()


async def test_an_object_whose_file_was_not_yet_moved_is_whole_at_the_next_start(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path, base_url="http://x")
    await objects.put("o/key", b"content")
    (file,) = (tmp_path / "files").glob("*/*")
    file.rename(tmp_path / "incoming" / file.name)
    assert await objects.get("o/key") == b"content"
    await objects.close()
    objects = LocalObjects(tmp_path, base_url="http://x")
    assert file.exists()
    assert await objects.get("o/key") == b"content"
    await objects.delete("o/key")
    assert not file.exists()
    await objects.close()


async def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    one, two = (LocalObjects(tmp_path, base_url="http://x") for _ in range(2))
    await one.put("o/key", b"one")
    with pytest.raises(ObjectExists):
        await two.put("o/key", b"two")
    assert await one.signed_url("o/key") == await two.signed_url("o/key")
    await one.close()
    await two.close()


async def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path, base_url="http://host/objects")
    app = FastAPI()
    app.include_router(router(objects, max_body=1000), prefix="/objects")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        url = await objects.signed_url("o/key", method="PUT")
        answer = await client.put(url, content=b"x" * 1001)
        assert (answer.status_code, answer.json()["title"]) == (413, "too large")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.put(url, content=b"x" * 1000)).status_code == 201
        assert (await client.put(url, content=b"y")).status_code == 409
        page = await client.get(await objects.signed_url("o/key"))
        assert "sandbox" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
    await objects.close()


async def test_an_unusable_folder_is_said_to_be_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ObjectsUnavailable, match="file"):
        LocalObjects(tmp_path / "file", base_url="http://x")
    objects = LocalObjects(tmp_path / "folder", base_url="http://x")
    await objects.close()
    with pytest.raises(ObjectsUnavailable):
        await objects.ping()
    with pytest.raises(ObjectsUnavailable):
        await objects.head("o/key")


def test_an_address_names_its_adapter(tmp_path: Path) -> None:
    assert isinstance(open_objects(ObjectsSettings(url=(tmp_path / "a b%").as_uri())), LocalObjects)
    assert (tmp_path / "a b%" / "index.sqlite").exists()
    key = SecretStr("c2VjcmV0")
    for url in ("s3://bucket/below", "az://account/container/below"):
        settings = ObjectsSettings(url=url, access_key="id", secret_key=key, profile="mine")
        assert isinstance(opened := open_objects(settings), CloudObjects)
        assert opened.profile == "mine"
        assert "c2VjcmV0" not in repr(settings)
    for bad in ("ftp://host/x", "s3:///x", "az://account", "file:", "/folder"):
        with pytest.raises(BadInput) as refused:
            open_objects(ObjectsSettings(url=bad))
        assert refused.value.field == "objects.url"


async def test_a_server_that_is_down_is_unavailable() -> None:
    settings = ObjectsSettings(
        url="s3://bucket", endpoint="http://127.0.0.1:9", access_key="id", secret_key=SecretStr("s")
    )
    with pytest.raises(ObjectsUnavailable):
        await open_objects(settings).ping()
