"""A bucket of a user's own may be anything that answers: what it says is believed only as far as it is measured."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from studio9_common.errors import BadInput, Studio9Error
from studio9_common.http.outbound import ForbiddenAddress, NotReached, Target
from studio9_common.objects import foreign
from studio9_common.objects.foreign import (
    LONGEST_KEY,
    LONGEST_PAGE,
    LONGEST_TOKEN,
    PAGE,
    BucketAway,
    BucketChanged,
    BucketElsewhere,
    BucketMissing,
    BucketRefused,
    ForeignBucket,
    Found,
    open_bucket,
)
from studio9_common.objects.s3_url import Credentials, Location

KEYS = Credentials("AKIA", "very-secret", "session")
WHOLE = b"weights" * 1000
MD5 = hashlib.md5(WHOLE).hexdigest()
TOKEN = "t" * (LONGEST_TOKEN + 1)
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as the test says, and keeps the requests."""

    def __init__(self) -> None:
        self.handler: Handler = self.good
        self.seen: list[web.Request] = []
        self.endpoint = ""

    async def good(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=WHOLE, headers={"ETag": f'"{MD5}"'})

    def answers(self, status: int, body: str | bytes = b"", **headers: str) -> None:
        async def handler(_: web.Request) -> web.StreamResponse:
            content = body.encode() if isinstance(body, str) else body
            return web.Response(status=status, body=content, headers=headers)

        self.handler = handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    running = TestServer(app, host="127.0.0.1")
    await running.start_server()
    made.endpoint = str(running.make_url("")).rstrip("/")
    yield made
    await running.close()


@pytest.fixture
async def bucket(server: Server) -> AsyncIterator[ForeignBucket]:
    place = Location("harbour", "us-east-1", server.endpoint)
    async with open_bucket(place, KEYS, trusted=True) as opened:
        yield opened


async def test_an_object_comes_whole_and_no_request_shows_the_secret(
    bucket: ForeignBucket, server: Server, tmp_path: Path
) -> None:
    found = await bucket.find("nets/b c+d.bin")
    assert found == Found("nets/b c+d.bin", len(WHOLE), MD5)
    await bucket.fetch(found, tmp_path / "x", hashlib.sha256(WHOLE).hexdigest())
    assert (tmp_path / "x").read_bytes() == WHOLE
    for request in server.seen:
        assert request.raw_path == "/harbour/nets/b%20c%2Bd.bin", "nothing that opens anything is in an address"
        assert "very-secret" not in str(dict(request.headers)) and "Signature=" in request.headers["Authorization"]
    assert server.seen[-1].headers["If-Match"] == f'"{MD5}"'
    with pytest.raises(BadInput, match="another sha256"):
        await bucket.fetch(found, tmp_path / "y", "a" * 64)
    assert os.listdir(tmp_path) == ["x"], "nothing is left of what was refused"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (412, b"", BucketChanged),
        (200, WHOLE + b"more", BucketChanged),
        (200, WHOLE[:-1], BucketChanged),
        (200, b"x" * len(WHOLE), BucketAway),
        (403, "<Error><Code>AccessDenied</Code></Error>", BucketRefused),
        (404, "<Error><Code>NoSuchKey</Code></Error>", BucketMissing),
        (301, "<Error><Code>PermanentRedirect</Code></Error>", BucketElsewhere),
        (302, b"", BucketElsewhere),
        (503, "<Error><Code>SlowDown</Code></Error>", BucketAway),
        (400, "<Code>ExpiredToken</Code>" + "x" * 100_000, BucketRefused),
    ],
)
async def test_what_a_server_does_wrong_is_told_apart(
    bucket: ForeignBucket, server: Server, tmp_path: Path, status: int, body: str | bytes, error: type[Studio9Error]
) -> None:
    server.answers(status, body, ETag=f'"{MD5}"', Location="http://169.254.169.254/latest")
    with pytest.raises(error) as raised:
        await bucket.fetch(Found("a", len(WHOLE), MD5), tmp_path / "x")
    assert raised.type is error and not os.listdir(tmp_path)
    assert len(server.seen) == 1, "no redirect is followed"


async def test_an_error_that_passes_is_no_refusal(bucket: ForeignBucket, server: Server) -> None:
    cases: list[tuple[int, int, type[Studio9Error]]] = [
        (503, 206, BucketAway), (500, 404, BucketAway), (429, 403, BucketAway), (408, 206, BucketAway),
        (403, 206, BucketAway), (403, 416, BucketAway), (403, 200, BucketAway), (403, 403, BucketRefused),
    ]  # fmt: skip
    for head, get, error in cases:

        async def handler(request: web.Request, head: int = head, get: int = get) -> web.StreamResponse:
            return web.Response(status=head if request.method == "HEAD" else get)

        server.handler = handler
        server.seen.clear()
        with pytest.raises(error):
            await bucket.find("a")
        assert len(server.seen) == (2 if head == 403 else 1), "what passes needs no second question"


def page(*keys: str, following: str | None = None) -> str:
    listed = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>" for key in keys)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{following}</NextContinuationToken>"
    head = f"<ListBucketResult {SPACE}><EncodingType>url</EncodingType>"
    return f"{head}{listed}{more if following else ''}</ListBucketResult>"


async def test_a_list_has_pages(bucket: ForeignBucket, server: Server) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        second = request.query.get("continuation-token") == "t=1/"
        return web.Response(text=page("a/z") if second else page("a/x+y", "a/%C3%A9", following="t=1/"))

    server.handler = handler
    assert [found.key async for found in bucket.list("a/")] == ["a/x y", "a/é", "a/z"]


async def test_keys_are_decoded_where_the_server_says_that_it_encoded_them(
    bucket: ForeignBucket, server: Server
) -> None:
    server.answers(200, page("a/x+y", "a/50%25").replace("<EncodingType>url</EncodingType>", ""))
    assert [found.key async for found in bucket.list("a/")] == ["a/x+y", "a/50%25"]


@pytest.mark.parametrize(
    "body",
    [
        page("a/" + "k" * (LONGEST_KEY - 1)), page(*["a/x"] * (PAGE + 1)), page("a/x", following=TOKEN),
        page("a/%FF"), ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + page("a/x")).encode("utf-16"),
        "no list", page("b/x"), page("a/x", following="again"), page(following="again"), b"x" * (LONGEST_PAGE + 1),
        '<!DOCTYPE x [<!ENTITY a "b">]>' + page("a/x"), page("a/x").replace("<Size>1", "<Size>-1"),
    ],
)  # fmt: skip
async def test_a_list_that_is_none_ends(bucket: ForeignBucket, server: Server, body: str | bytes) -> None:
    server.answers(200, body)
    with pytest.raises(BucketAway):
        _ = [found async for found in bucket.list("a/")]
    assert len(server.seen) <= 2


async def test_a_list_ends_that_turns_in_circles_or_comes_too_slowly(
    bucket: ForeignBucket, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def circle(request: web.Request) -> web.StreamResponse:
        return web.Response(text=page("a/x", following="b" if request.query.get("continuation-token") == "a" else "a"))

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.handler = circle
    with pytest.raises(BucketAway, match="does not come to an end"):
        _ = [found async for found in bucket.list("a/")]
    assert len(server.seen) == 3
    monkeypatch.setattr(foreign, "LIST_S", 0.1)
    monkeypatch.setattr(foreign, "LOOK_S", 0.1)
    server.handler = never
    with pytest.raises(BucketAway, match="too slowly"):
        _ = [found async for found in bucket.list("a/")]
    with pytest.raises(BucketAway, match="too slowly"):
        await bucket.find("a")


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "try again"), NotReached),
        (socket.gaierror(socket.EAI_SYSTEM, "no descriptors"), NotReached),
        (TimeoutError(), NotReached),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), ForbiddenAddress),
        (socket.gaierror(socket.EAI_NODATA, "no address"), ForbiddenAddress),
    ],
)
async def test_a_lookup_that_fails_now_says_nothing_of_the_name(
    monkeypatch: pytest.MonkeyPatch, problem: OSError, error: type[Studio9Error]
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise problem

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(error) as raised:
        async with open_bucket(Location("harbour", "us-east-1", "https://s3.example"), KEYS, trusted=False):
            raise AssertionError
    assert raised.value.field == "endpoint"


async def test_only_the_address_that_was_checked_is_called(server: Server, tmp_path: Path) -> None:
    endpoint = server.endpoint
    for address in (endpoint, "https://127.0.0.1:1", "https://[::1]:1", "https://localhost:1"):
        with pytest.raises(ForbiddenAddress) as refused:
            async with open_bucket(Location("harbour", "us-east-1", address), KEYS, trusted=False):
                raise AssertionError
        assert refused.value.field == "endpoint"
    port = int(endpoint.rpartition(":")[2])
    # Whatever the name says by now: it was there when it was checked.
    place = Location("harbour", "us-east-1", f"http://rebound.example:{port}")
    pinned = ForeignBucket(place, KEYS, Target("http", "rebound.example", port, "/", "127.0.0.1"))
    assert (await pinned.find("a")).size == len(WHOLE)
    assert server.seen[-1].headers["Host"] == f"rebound.example:{port}"
    await pinned.close()
