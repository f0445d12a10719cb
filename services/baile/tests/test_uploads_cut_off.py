"""An upload that stops half-way leaves nothing, over a real connection."""

import asyncio
import os
from typing import Any

from studio9_common.service import HttpServer


async def test_a_connection_that_breaks_leaves_nothing(ana: Any, installation: Any, until: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"}))["id"]
    server = HttpServer("127.0.0.1", 0)
    await server.start(installation.baile.asgi)
    whole = png(200, 200)
    part = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + whole[:50]
    head = (
        f"POST /v2.0/albums/{album}/uploadPicture HTTP/1.1\r\nHost: baile\r\nAuthorization: Bearer {ana.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: {len(part) + 1_000_000}\r\n\r\n"
    )
    folder = installation.settings.work_dir / "uploads"
    folder.mkdir(parents=True)

    async def files(count: int) -> bool:
        return len(os.listdir(folder)) == count

    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode() + part)
        await writer.drain()
        await until(lambda: files(1))
        writer.close()
        await writer.wait_closed()
        await until(lambda: files(0))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /v2.0/health HTTP/1.1\r\nHost: baile\r\nConnection: close\r\n\r\n")
    assert b'{"ok":true}' in await reader.read()
    writer.close()
    await writer.wait_closed()
    await server.stop()
    assert os.listdir(folder) == []
    assert [one.key async for one in installation.objects.list("")] == []
    assert (await ana.ok("GET", f"/albums/{album}/pictures"))["count"] == 0


async def test_a_form_that_ends_too_early_is_refused(ana: Any, installation: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"}))["id"]
    body = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + png()[:40]
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    await ana.refused(400, "POST", f"/albums/{album}/uploadPicture", content=body, headers=headers)
    assert (await ana.ok("GET", f"/albums/{album}/pictures"))["count"] == 0
