"""Files of a user's own bucket, from a server that is not as good as it should be."""

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from studio9_common.contracts.job import Input, Source
from studio9_common.objects.foreign import open_bucket
from studio9_common.objects.s3_url import Credentials, Location
from studio9_worker.cache import InputCache
from studio9_worker.settings import WorkerSettings
from studio9_worker.sources import Bringer, Room


async def test_what_has_no_version_is_brought_again_each_time(tmp_path: Path) -> None:
    content, key = [b"old"], "k" * 240

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content[0])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    settings, cache = WorkerSettings(), InputCache(tmp_path / "cache", 1 << 20)
    await cache.open()
    source = Source(bucket="harbour", region="us-east-1", credential="mine", key=f"nets/{key}.bin")
    wanted = Input(name="weights", kind="file", source=source)
    place = Location("harbour", "us-east-1", str(server.make_url("")).rstrip("/"))
    async with open_bucket(place, Credentials("AKIA", "secret", None), trusted=True) as bucket:
        for content[0] in (b"old", b"new"):
            bringer = Bringer(settings, cache, "acme", source, bucket)
            files = await bringer.look(wanted, tmp_path / "job", Room(settings))
            await bringer.bring(files)
            brought = tmp_path / "job" / "weights.bin"
            assert (brought.read_bytes(), brought.stat().st_mode & 0o777) == (content[0], 0o444)
            assert [path.name for path in brought.parent.iterdir()] == ["weights.bin"]
    assert not list((tmp_path / "cache").rglob("sources/*")), "nobody takes it for what lies there later"
    await server.close()
