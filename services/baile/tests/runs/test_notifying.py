"""Who owns a job is told once how it ended: as an event, in a list, and at a signed webhook."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio9_common.contracts.messages import JobFailed
from studio9_common.http.outbound import ForbiddenAddress, public, resolve

Received = asyncio.Queue[tuple[str, dict[str, str], bytes]]


@pytest.fixture
async def listener() -> AsyncIterator[tuple[str, Received, list[int]]]:
    """A server that keeps what it gets, and answers with the statuses that it is given, then 204."""
    got: Received = asyncio.Queue()
    statuses: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        status = statuses.pop(0) if statuses else 204
        writer.write(f"HTTP/1.1 {status} x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        got.put_nowait((lines[0], headers, body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?x=1", got, statuses
    server.close()


async def fail_a_job(ana: Any, workers: Any, albums: Any, experiment: Any, until: Any) -> str:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    job = (await ana.ok("GET", f"/experiments/{made['id']}/process"))["id"]
    await workers.end(await workers.take(), JobFailed)

    async def told() -> bool:
        return bool((await ana.ok("GET", "/v1/notifications"))["items"])

    await until(told)
    return str(job)


async def test_the_owner_is_told_once(ana: Any, installation: Any, workers: Any, albums: Any, experiment: Any,
                                      until: Any) -> None:  # fmt: skip
    job = await fail_a_job(ana, workers, albums, experiment, until)
    await workers.publish(workers.last, installation.baile.core.tokens.read(ana.token).organisation)
    (only,) = (await ana.ok("GET", "/v1/notifications"))["items"]
    assert only["about"] == "job.failed" and only["data"]["job"] == job and "read_at" not in only
    claims = installation.baile.core.tokens.read(ana.token)
    async with installation.baile.core.database.read(claims.organisation) as work:
        events = [one for one in await work.events.after(0, claims.user, 10_000) if one.type == "notification"]
    assert [one.data["id"] for one in events] == [only["id"]]
    assert (await ana.ok("POST", f"/v1/notifications/{only['id']}/read"))["read_at"]
    other = await ana.send("POST", "/v1/notifications/unknown/read")
    assert other.status_code == 404


async def test_a_webhook_is_signed_and_tried_again(ana: Any, installation: Any, workers: Any, albums: Any,
                                                   experiment: Any, until: Any, listener: Any,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    url, got, statuses = listener
    monkeypatch.setattr("studio9_baile.jobs.delivering.PAUSES_S", (0.0, 0.0, 0.0))
    refused = await ana.send("POST", "/v1/webhooks", json={"url": url})
    assert refused.status_code == 400 and refused.json()["title"] == "forbidden address"
    await installation.stop()
    await installation.start(webhooks_private=True)
    ana = installation.signed_in("ana")
    made = await ana.ok("POST", "/v1/webhooks", {"url": url})
    assert "secret" not in (await ana.ok("GET", "/v1/webhooks"))[0]
    statuses += [500, 302]
    await fail_a_job(ana, workers, albums, experiment, until)
    async with asyncio.timeout(60):
        calls = [await got.get() for _ in range(3)]
    assert {line for line, _, _ in calls} == {"POST /hook?x=1 HTTP/1.1"}
    assert len({headers["studio9-delivery"] for _, headers, _ in calls}) == 1, "the receiver can tell that it is one"
    _, headers, body = calls[-1]
    fields = dict(part.split("=") for part in headers["studio9-signature"].split(","))
    wanted = hmac.new(made["secret"].encode(), f"{fields['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(fields["v1"], wanted) and json.loads(body)["about"] == "job.failed"
    assert (await ana.send("DELETE", f"/v1/webhooks/{made['id']}")).status_code == 204


PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
    "[2002:a00:1::1]", "[::10.0.0.1]", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_addresses_in_any_spelling_are_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await resolve(f"https://{host}/x")


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https://u:p@1.1.1.1/", "https://1.1.1.1:99999/",
     "https://1.1.1.1/\r\nHost: x", "file:///etc/passwd", "gopher://1.1.1.1/", "https://[::1", "//1.1.1.1/"],
)  # fmt: skip
async def test_other_schemes_and_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await resolve(url)


async def test_a_name_is_looked_up_once_and_all_its_addresses_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked is what is called: a name that changes its mind later (DNS rebinding) changes nothing."""
    answers = [["1.1.1.1"], ["1.1.1.1", "10.0.0.1"], ["10.0.0.1"]]

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (one, port)) for one in answers.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    target = await resolve("https://rebinding.test/hook")
    assert (target.address, target.host, len(answers)) == ("1.1.1.1", "rebinding.test", 2)
    for _ in range(2):
        with pytest.raises(ForbiddenAddress):
            await resolve("https://rebinding.test/hook")


def test_what_is_public() -> None:
    import ipaddress

    assert public(ipaddress.ip_address("1.1.1.1")) and public(ipaddress.ip_address("2606:4700::1111"))
