"""Server-sent events: none is skipped, nobody else's is seen, and a stream ends when it must."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from studio9_baile.app import build
from studio9_baile.database import Database
from studio9_baile.jobs.uploads import Uploads
from studio9_baile.models.identity import Organisation
from studio9_baile.usecases import signing_in
from studio9_baile.usecases.following import RESET, follow
from studio9_baile.watching import MOST_OF_ONE_USER
from studio9_common.contracts.messages import JobProgress
from studio9_common.service import HttpServer
from studio9_common.times import format_time


@dataclass(frozen=True, slots=True)
class Got:
    id: int
    type: str
    data: Any


class Served:
    """Baile on a real port: streams cannot be read through the in-process transport."""

    def __init__(self, installation: Any) -> None:
        self._installation = installation
        self._server: HttpServer | None = None

    async def start(self) -> None:
        self._server = HttpServer("127.0.0.1", 0)
        await self._server.start(self._installation.baile.asgi)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def get(self, token: str, query: str = "", **headers: str) -> httpx.Response:
        assert self._server is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._server.port}") as http:
            return await http.get(f"/v1/events{query}", headers={"Authorization": f"Bearer {token}", **headers})

    async def events(self, token: str, after: int | None = None, query: str = "") -> AsyncGenerator[Got, None]:
        """What a browser would get; ends with the stream. A message without data is told as type ``."""
        assert self._server is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        address = f"http://127.0.0.1:{self._server.port}"
        async with (
            httpx.AsyncClient(base_url=address, timeout=20) as http,
            http.stream("GET", f"/v1/events{query}", headers=headers) as response,
        ):
            assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
            fields: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "id" in fields:
                    data = json.loads(fields["data"]) if "data" in fields else None
                    yield Got(int(fields["id"]), fields.get("event", ""), data)
                    fields = {}
                else:
                    fields = {}


@pytest.fixture
async def served(installation: Any) -> AsyncIterator[Served]:
    made = Served(installation)
    await made.start()
    yield made
    await made.stop()


async def emit(installation: Any, organisation: str, number: int, user: str | None = None) -> None:
    async with installation.baile.core.database.write(organisation) as work:
        work.emit("told", {"n": number}, user=user)


async def everything(installation: Any, claims: Any) -> list[int]:
    async with installation.baile.core.database.read(claims.organisation) as work:
        return [event.number for event in await work.events.after(0, claims.user, 10_000)]


async def test_a_stream_is_resumed_across_a_restart_without_a_gap(
    installation: Any, ana: Any, bo: Any, served: Served
) -> None:
    claims = installation.baile.core.tokens.read(ana.token)
    other = installation.baile.core.tokens.read(bo.token)

    async def writes(begin: int) -> None:
        for number in range(begin, begin + 12):
            user = [None, claims.user, "somebody else"][number % 3]
            await emit(installation, claims.organisation, number, user)
            await emit(installation, other.organisation, number)

    async def read(after: int | None, enough: int) -> list[Got]:
        got = []
        async with asyncio.timeout(10), aclosing(served.events(ana.token, after)) as events:
            async for event in events:
                got.append(event)
                if len([one for one in got if one.type]) >= enough:
                    return got
        raise AssertionError("the stream ended")

    first = asyncio.create_task(read(0, 20))
    await asyncio.gather(*(writes(100 * writer) for writer in range(4)))
    got = await first
    await served.stop()
    await installation.stop()
    await installation.start()
    await served.start()
    last = got[-1].id
    left = len([number for number in await everything(installation, claims) if number > last])
    second = asyncio.create_task(read(last, left + 4 * 8))
    await asyncio.gather(*(writes(1000 + 100 * writer) for writer in range(4)))
    got += await second
    numbers = [event.id for event in got if event.type]
    assert numbers == await everything(installation, claims)
    assert len(numbers) == len(set(numbers)) and "somebody else" not in str(got)


async def test_a_stream_without_a_number_begins_now_and_tells_where(
    installation: Any, ana: Any, orion: Any, asked: Any, served: Served
) -> None:
    process = await asked(ana)
    await emit(installation, process.organisation, 1)
    async with asyncio.timeout(10), aclosing(served.events("", query=f"?access_token={ana.token}")) as events:
        begin = await anext(events)
        assert begin.type == "" and begin.id >= 1
        now = format_time(installation.baile.core.clock.now())
        message = JobProgress(
            job=process.id, kind="train", time=now, attempt=1, fence=1, progress=0.5, remaining_s=7.5, epoch=3,
            epochs=6, metrics={"map50": 0.25},
        )  # fmt: skip
        await orion.tell(process.organisation, message)
        got = await anext(events)
    assert (got.id, got.type) == (begin.id + 1, "process")
    assert got.data == {
        "id": process.id, "target": "CV_PREDICTION", "targetId": process.target_id, "jobType": "CV_MODEL_EVALUATE",
        "status": "RUNNING", "progress": 0.5, "estimate": 8, "attempt": 1, "epoch": 3, "epochs": 6,
        "metrics": {"map50": 0.25},
    }  # fmt: skip


async def test_changes_of_assets_are_told(ana: Any, served: Served) -> None:
    async with asyncio.timeout(10), aclosing(served.events(ana.token)) as events:
        await anext(events)
        album = await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"})
        got = await anext(events)
    assert (got.type, got.data["kind"], got.data["id"]) == ("asset.changed", "ALBUM", album["id"])


async def test_what_cannot_be_gone_on_from_is_said(installation: Any, ana: Any, served: Served) -> None:
    organisation = installation.baile.core.tokens.read(ana.token).organisation
    for number in range(3):
        await emit(installation, organisation, number)
    async with asyncio.timeout(10), aclosing(served.events(ana.token, 10**6)) as events:
        got = await anext(events)
        last = got.id
        assert got.type == RESET and last < 100
    async with installation.baile.core.database.system() as work:
        await work.forget(events_before=work.now + timedelta(1), settled_before=work.now - timedelta(1))
    async with asyncio.timeout(10), aclosing(served.events(ana.token, last - 2)) as events:
        got = await anext(events)
        assert (got.type, got.id) == (RESET, last)
        await emit(installation, organisation, 9)
        assert (await anext(events)).data == {"n": 9}
    async with asyncio.timeout(10), aclosing(served.events(ana.token, last)) as events:
        assert (await anext(events)).type == ""
        assert (await anext(events)).data == {"n": 9}


async def test_bad_requests(ana: Any, served: Served) -> None:
    refused = await served.get(ana.token, **{"Last-Event-ID": "first"})
    assert refused.status_code == 400 and refused.json()["field"] == "Last-Event-ID"
    assert (await served.get(ana.token, "?last_event_id=-1")).status_code == 400
    assert (await served.get("no token")).status_code == 401


async def test_a_stream_ends_when_baile_stops(installation: Any, ana: Any, served: Served) -> None:
    events = served.events(ana.token)
    await anext(events)
    async with asyncio.timeout(20):
        await installation.baile.stop()
        assert [event async for event in events] == []


async def test_a_stream_ends_with_its_sign_in_and_is_kept_alive_until_then(installation: Any, ana: Any) -> None:
    core = installation.baile.core
    caller = await signing_in.caller_of(core, ana.token)
    events = follow(core, caller, ana.token, None, keep_alive_s=0.02, check_s=0.02)
    begin = await anext(events)
    assert begin is not None and begin.type is None
    assert [await anext(events), await anext(events)] == [None, None]
    await ana.ok("POST", "/signout")
    async with asyncio.timeout(20):
        assert {event async for event in events} <= {None}


async def test_one_user_has_so_many_streams(installation: Any, ana: Any, bo: Any, served: Served) -> None:
    core = installation.baile.core
    caller = await signing_in.caller_of(core, ana.token)
    streams = [follow(core, caller, ana.token, None) for _ in range(MOST_OF_ONE_USER)]
    for stream in streams:
        await anext(stream)
    refused = await served.get(ana.token)
    assert refused.status_code == 429
    async with aclosing(served.events(bo.token)) as events:
        await anext(events)
    for stream in streams:
        await stream.aclose()
    async with aclosing(served.events(ana.token)) as events:
        await anext(events)


class Ear:
    """What a user has heard since the last time."""

    def __init__(self, installation: Any, api: Any) -> None:
        self._core, self._claims = installation.baile.core, installation.baile.core.tokens.read(api.token)
        self._last = 0

    async def heard(self) -> list[tuple[str, str, str]]:
        """(kind, id, change) of each change of an asset."""
        async with self._core.database.read(self._claims.organisation) as work:
            events = await work.events.after(self._last, self._claims.user, 10_000)
        self._last = max([self._last, *(event.number for event in events)])
        found = [event.data for event in events if event.type == "asset.changed"]
        return [(one["kind"], one["id"], one["change"]) for one in found]


async def test_every_change_is_told(installation: Any, ana: Any, png: Any, until: Any) -> None:
    ear = Ear(installation, ana)
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"}))["id"]
    assert await ear.heard() == [("ALBUM", album, "created")]
    project = (await ana.ok("POST", "/projects", {"name": "p"}))["id"]
    await ana.ok("PUT", f"/projects/{project}", {"name": "q"})
    folder = (await ana.ok("POST", f"/projects/{project}/folders", {"path": "a"}))["id"]
    await ana.ok("PUT", f"/projects/{project}/albums/{album}", {"folderId": folder})
    await ana.ok("DELETE", f"/projects/{project}/albums/{album}")
    await ana.ok("DELETE", f"/projects/{project}/folders/{folder}")
    await ana.ok("DELETE", f"/projects/{project}")
    assert await ear.heard() == [
        ("PROJECT", project, "created"), ("PROJECT", project, "updated"), ("FOLDER", folder, "created"),
        ("PROJECT", project, "updated"), ("PROJECT", project, "updated"), ("FOLDER", folder, "deleted"),
        ("PROJECT", project, "deleted"),
    ]  # fmt: skip
    pictures = [(await ana.upload(album, f"p{number}", png(64, 40 + number)))["id"] for number in range(3)]
    told: list[tuple[str, str, str]] = []

    async def uploads() -> bool:
        told.extend(await ear.heard())
        return bool(told)

    await until(uploads)
    assert set(told) == {("ALBUM", album, "uploaded")}
    await installation.baile.core.uploads.tell()
    await ear.heard()
    await ana.ok("DELETE", f"/albums/{album}/pictures/{pictures[0]}")
    version = (await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}}))["id"]
    assert await ear.heard() == [("ALBUM", album, "picture_deleted"), ("DATASET_VERSION", version, "created")]
    body = {"username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9", "firstName": "C", "lastName": "Y"}
    user = (await ana.ok("POST", "/users", body))["id"]
    await ana.ok("PUT", f"/users/{user}", {"firstName": "Cyd"})
    await ana.ok("POST", f"/users/{user}/deactivate")
    await ana.ok("PUT", f"/v1/users/{user}/role", {"role": "viewer"})
    await ana.ok("DELETE", f"/users/{user}")
    assert await ear.heard() == [("USER", user, one) for one in ("created", *["updated"] * 3, "deleted")]


async def test_whoever_tells_uploads_waits_for_who_is_telling_them(database_url: str) -> None:
    database, begun, go_on = Database(database_url), asyncio.Event(), asyncio.Event()
    async with database.system() as work:
        work.add(Organisation(id="lab", name="lab", next_event=1, created_at=work.now))

    class Slow:
        """A database whose writes begin when they may."""

        system = database.system

        @asynccontextmanager
        async def write(self, organisation: str) -> AsyncIterator[Any]:
            begun.set()
            await go_on.wait()
            async with database.write(organisation) as work:
                yield work

    slow: Any = Slow()
    uploads = Uploads(slow)
    async with database.write("lab") as work:
        work.uploaded("bay")
    first = asyncio.create_task(uploads.tell())
    await begun.wait()
    second = asyncio.create_task(uploads.tell())
    await asyncio.sleep(0)
    assert not second.done(), "it is not told yet"
    go_on.set()
    await second
    async with database.read("lab") as work:
        assert [event.data["id"] for event in await work.events.after(0, "", 10)] == ["bay"]
    await first
    await database.close()


async def test_what_a_killed_instance_has_not_told_another_one_tells(
    installation: Any, ana: Any, png: Any, until: Any
) -> None:
    core, ear = installation.baile.core, Ear(installation, ana)
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"}))["id"]
    await ear.heard()
    killed = build(
        installation.settings, bus=installation.bus, objects=installation.objects, aries=core.aries, argo=core.argo
    )
    transport = httpx.ASGITransport(killed.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://baile") as http:
        await type(ana)(http, ana.token).upload(album, "p", png())
    await killed.core.decoder.close()
    await killed.core.database.close()
    assert await until(ear.heard) == [("ALBUM", album, "uploaded")]


async def test_a_share_is_told_to_those_whom_it_concerns(installation: Any, ana: Any) -> None:
    people = {}
    for name in ("cy", "di"):
        body = {
            "username": name, "email": f"{name}@lab.test", "password": "Correct-horse-9", "firstName": "C",
            "lastName": "Y",
        }  # fmt: skip
        await ana.ok("POST", "/users", body)
        people[name] = await installation.sign_in(name)
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"}))["id"]
    ears = {name: Ear(installation, api) for name, api in {**people, "ana": ana}.items()}
    for ear in ears.values():
        await ear.heard()
    share = {"assetType": "ALBUM", "assetId": album, "recipientEmail": "cy@lab.test"}
    made = (await ana.ok("POST", "/shares", share))["id"]
    await ana.ok("DELETE", f"/shares/{made}")
    both = [("SHARE", made, "created"), ("SHARE", made, "deleted")]
    assert {name: await ear.heard() for name, ear in ears.items()} == {"ana": both, "cy": both, "di": []}
