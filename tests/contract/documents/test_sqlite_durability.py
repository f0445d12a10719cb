"""The embedded store: what it acknowledged is there after kill -9, and it does not hold the event loop."""

import asyncio
import sys
from pathlib import Path

import pytest

from studio9_common.documents.connect import open_documents
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.documents.port import Documents, DocumentsUnavailable, Write
from studio9_common.errors import BadInput

from .conftest import DIARY, THINGS

WRITER = """
import asyncio, sys
from pathlib import Path
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.documents.port import FieldType, Index

async def main():
    documents = await SqliteDocuments.open(Path(sys.argv[1]))
    await documents.ensure(Index("things", {"count": FieldType.long}))
    async def write(lane):
        n = 0
        while True:
            n += 1
            await documents.create("things", f"{lane}-{n}", {"count": n})
            sys.stdout.write(f"{lane}-{n}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(write(lane) for lane in range(8)))

asyncio.run(main())
"""


async def test_kill_9_in_mid_write_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(300)]
    process.kill()
    rest = (await process.stdout.read()).decode().split("\n")
    acknowledged += rest[:-1]  # the last line may be cut
    await process.wait()
    documents = await SqliteDocuments.open(path)
    found = await documents.get_many([("things", id) for id in acknowledged])
    assert len(acknowledged) >= 300 and all(found)
    await documents.close()


async def test_a_second_start_finds_everything(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/documents.sqlite"
    first = await open_documents(url)
    await first.ensure(THINGS, DIARY)
    version = await first.create("things", "one", {"count": 1, "labels": ["a"]})
    await first.close()
    second = await open_documents(url)
    assert (await second.get("things", "one")).version == version
    assert await second.replace("things", "one", {"count": 2}, version) != version
    await second.close()


async def test_after_close_it_is_unavailable(tmp_path: Path) -> None:
    documents = await SqliteDocuments.open(tmp_path / "documents.sqlite")
    await documents.ensure(THINGS)
    await documents.close()
    with pytest.raises(DocumentsUnavailable):
        await documents.put("things", "x", {})
    with pytest.raises(DocumentsUnavailable):
        await documents.count("things")
    await documents.close()


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(DocumentsUnavailable, match="cannot be opened"):
        await SqliteDocuments.open(tmp_path / "file")


async def test_the_event_loop_goes_on_during_a_large_bulk(tmp_path: Path) -> None:
    documents = await SqliteDocuments.open(tmp_path / "documents.sqlite")
    await documents.ensure(THINGS)
    loop = asyncio.get_running_loop()
    writing = asyncio.create_task(
        documents.bulk([Write("put", "things", str(n), {"count": n, "detail": "x" * 500}) for n in range(5_000)])
    )
    gaps: list[float] = []
    while not writing.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        gaps.append(loop.time() - before)
    assert sorted(gaps)[len(gaps) // 2] < 0.02
    await documents.close()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "ftp://host", "http://", "state/documents"])
async def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        await open_documents(url)


def test_both_adapters_are_the_port() -> None:
    from studio9_common.documents.elasticsearch import ElasticsearchDocuments

    adapters: list[type[Documents]] = [SqliteDocuments, ElasticsearchDocuments]
    assert len(adapters) == 2
