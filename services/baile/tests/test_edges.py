"""What comes before every route: headers for browsers, other origins, too much at once."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from studio9_baile.security.load import LimitLoad
from studio9_common.errors import BadInput
from studio9_common.tokens import TokenKeys


async def test_every_answer_tells_browsers_to_trust_little(ana: Any) -> None:
    for path, status in (("/me", 200), ("/v1/me", 200), ("/nowhere", 404), ("/v1/nowhere", 404), ("/health", 200)):
        answer = await ana.send("GET", path)
        assert answer.status_code == status
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_an_uploaded_file_is_data_only(ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    url = (await ana.upload(album, "p", png()))["filepath"]
    answer = await ana.http.get(url)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_other_origins_are_those_that_are_named(installation: Any) -> None:
    headers = {"Origin": "http://ui.test", "Access-Control-Request-Method": "PUT",
               "Access-Control-Request-Headers": "authorization"}  # fmt: skip
    async with installation.http() as http:
        refused = await http.options("/v2.0/albums/x", headers=headers)
    assert "access-control-allow-origin" not in refused.headers
    await installation.stop()
    await installation.start(cors_origins=("http://ui.test",))
    async with installation.http() as http:
        allowed = await http.options("/v2.0/albums/x", headers=headers)
        other = await http.options("/v2.0/albums/x", headers={**headers, "Origin": "http://evil.test"})
    assert allowed.headers["access-control-allow-origin"] == "http://ui.test"
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in other.headers


async def test_too_much_at_once_is_told_when_to_come_again() -> None:
    release, now = asyncio.Event(), [0.0]
    entered: asyncio.Queue[str] = asyncio.Queue()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/quick":
            entered.put_nowait(scope["path"])
            await release.wait()
        await PlainTextResponse("ok")(scope, receive, send)

    limited = LimitLoad(slow, at_once=3, at_once_each=2, each_s=1.0, clock=lambda: now[0])
    transport = httpx.ASGITransport(limited)
    async with httpx.AsyncClient(transport=transport, base_url="http://baile") as http:
        waiting = [asyncio.create_task(http.get("/a", headers={"Authorization": "x"})) for _ in range(2)]
        await entered.get()
        await entered.get()
        refused = await http.get("/v1/models", headers={"Authorization": "x"})
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
        assert refused.json()["title"] == "too busy"
        waiting.append(asyncio.create_task(http.get("/a", headers={"Authorization": "y"})))
        await entered.get()
        full = await http.get("/v2.0/me", headers={"Authorization": "z"})
        assert full.status_code == 429 and set(full.json()) == {"code", "message", "errors"}
        assert (await http.get("/v1/models", headers={"Authorization": "z"})).status_code == 429
        release.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200] * 3
        answers = [(await http.get("/quick", headers={"Authorization": "z"})).status_code for _ in range(12)]
        assert answers == [200] * 10 + [429] * 2
        now[0] = 2.0
        assert (await http.get("/quick", headers={"Authorization": "z"})).status_code == 200


@pytest.mark.parametrize("keys", ["", "k1:", "k1:c2hvcnQ", "k1:" + "A" * 43, "k1:" + "YWJj" * 12])
def test_keys_that_anybody_could_guess_are_refused(keys: str) -> None:
    with pytest.raises(BadInput):
        TokenKeys(keys)
