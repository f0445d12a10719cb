"""A whole Baile on the embedded parts; its database SQLite and, with STUDIO9_TEST_POSTGRESQL_URL, PostgreSQL."""

import asyncio
import copy
import io
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import SecretStr

from studio9_baile.app import BaileService, build
from studio9_baile.settings import BaileSettings, Bucket
from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.objects.local import LocalObjects
from studio9_common.times import format_time
from studio9_common.tokens import TokenKeys

from .databases import POSTGRESQL, share_statements
from .templates import STAGES, Stage, Templates, copy_objects

KEYS = TokenKeys.generate()
PASSWORD = "Correct-horse-9"

Documents = dict[str, dict[str, dict[str, Any]]]


class Api:
    """A user's requests to `/v2.0`."""

    def __init__(self, http: httpx.AsyncClient, token: str = "") -> None:
        self.http, self.token = http, token

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The response, whatever its status."""
        headers = {**options.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        target = path if path.startswith(("/v1", "/v2.0", "/baile", "/health", "/objects")) else f"/v2.0{path}"
        return await self.http.request(method, target, headers=headers, **options)

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a successful response."""
        if body is not None:
            options["json"] = body
        response = await self.send(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    async def refused(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The error of a refused request, which must have the contract's shape."""
        if body is not None:
            options["json"] = body
        response = await self.send(method, path, **options)
        assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        error = response.json()
        assert set(error) == {"code", "message", "errors"}
        assert error["code"] == status and isinstance(error["errors"], list)
        return error

    async def upload(self, album: str, name: str, content: bytes) -> Any:
        files = {"file": (f"{name}.png", content, "image/png")}
        return await self.ok("POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": name})


class StandIns:
    """What Baile calls of Aries and Argo, kept in memory; either can be `away`."""

    def __init__(self) -> None:
        self.documents: Documents = {}
        self.config: dict[tuple[str, str, str], Any] = {}
        self.away = False
        self.secrets: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        """What may be known of them."""
        self.aries, self.argo = FastAPI(), FastAPI()

        @self.argo.post("/v1/secrets")
        async def add_secret(request: Request) -> JSONResponse:
            body = await request.json()
            organisation = TokenKeys(KEYS).check(request.headers["authorization"][7:], "argo").organisation
            reference = f"secret-{len(self.kept):08}"
            self.secrets[reference] = body["value"]
            self.kept[reference] = {
                "id": reference, "organisation": organisation, "project": None, "name": body["name"], "version": 1,
                "audiences": body["audiences"], "encrypted_with": "k", "updated_at": format_time(datetime.now(UTC)),
                "updated_by": "baile",
            }  # fmt: skip
            return JSONResponse(self.kept[reference])

        @self.argo.get("/v1/secrets")
        async def list_secrets(request: Request) -> JSONResponse:
            if self.away:
                return JSONResponse({"title": "away"}, 503)
            organisation = TokenKeys(KEYS).check(request.headers["authorization"][7:], "argo").organisation
            after = request.query_params.get("after", "")
            of = [one for one in sorted(self.secrets) if self.kept[one]["organisation"] == organisation and one > after]
            page = of[:2]
            return JSONResponse({"items": [self.kept[one] for one in page], "next": page[-1] if of[2:] else None})

        @self.argo.post("/v1/secrets/{reference}/reveal")
        async def reveal(reference: str) -> JSONResponse:
            return JSONResponse({"value": self.secrets[reference]})

        @self.argo.delete("/v1/secrets/{reference}")
        async def delete_secret(reference: str) -> JSONResponse:
            del self.secrets[reference]
            return JSONResponse(None, 204)

        @self.aries.post("/v1/{collection}/_mget")
        async def many(collection: str, request: Request) -> JSONResponse:
            if self.away:
                return JSONResponse({"title": "away"}, 503)
            known = self.documents.get(collection, {})
            ids = (await request.json())["ids"]
            items = [{"id": one, "etag": "1", "body": known[one]} if one in known else None for one in ids]
            return JSONResponse({"items": items})

        @self.aries.post("/v1/{collection}/_search")
        async def search(collection: str, request: Request) -> JSONResponse:
            if self.away:
                return JSONResponse({"title": "away"}, 503)
            wanted = (await request.json())["where"].get("equals", {})
            known = self.documents.get(collection, {}).items()
            items = [
                {"id": key, "etag": "1", "body": body}
                for key, body in known
                if all(body.get(name) == value for name, value in wanted.items())
            ]
            return JSONResponse({"items": items, "next": None})

        @self.argo.api_route("/v1/config/{service}/{key}", methods=["GET", "PUT", "DELETE"])
        async def value(service: str, key: str, request: Request) -> JSONResponse:
            if self.away:
                return JSONResponse({"title": "away"}, 503)
            organisation = TokenKeys(KEYS).check(request.headers["authorization"][7:], "argo").organisation
            place = (organisation, service, key)
            if request.method == "PUT":
                self.config[place] = (await request.json())["value"]
            if place not in self.config:
                return JSONResponse({"title": "not found"}, 404)
            entry = {
                "scope": "organisation", "organisation": organisation, "service": service, "key": key, "version": 1,
                "value": self.config[place], "updated_at": "", "updated_by": "",
            }  # fmt: skip
            if request.method == "DELETE":
                del self.config[place]
            return JSONResponse(entry)


CATALOGUE = {
    "schema": 1,
    "version": "1",
    "architectures": [
        {
            "id": "YOLO11N", "name": "YOLO11 nano", "framework": "yolo", "package": "ultralytics",
            "package_version": "8.4.190", "module": "ultralytics.nn.tasks", "class_name": "DetectionModel",
        },
        {
            "id": "VGG16", "name": "VGG 16", "framework": "torch", "package": "studio9", "module": "m",
            "class_name": "C", "parameters": [{"type": "int", "name": "depth", "min": 1, "max": 5, "defaults": [3]}],
        },
    ],
    "heads": [
        {
            "id": "FCN_1LAYER", "name": "One layer", "framework": "torch", "package": "studio9", "module": "m",
            "class_name": "C", "consumer": "classifier", "architectures": ["VGG16"],
        },
        {
            "id": "YOLO_HEAD", "name": "YOLO", "framework": "yolo", "package": "ultralytics", "module": "m",
            "class_name": "Detect", "consumer": "detector", "architectures": ["YOLO11N"],
            "parameters": [
                {"type": "int", "name": "epochs", "min": 1, "max": 3000, "step": 1, "defaults": [25]},
                {"type": "string", "name": "optimizer", "options": ["AdamW", "SGD"], "defaults": ["AdamW"]},
                {"type": "string", "name": "note"},
                {
                    "type": "float", "name": "momentum", "min": 0, "max": 1,
                    "conditions": {"optimizer": {"values": ["SGD"]}},
                },
                {"type": "boolean", "name": "mosaic", "defaults": [False]},
            ],
        },
    ],
    "tasks": [
        {"kind": "augment", "framework": "torch", "inputs": [{"name": "pictures", "holds": "pictures"}]},
        {"kind": "tune", "framework": "studio9", "inputs": [{"name": "train", "holds": "pictures"}]},
        {"kind": "tile", "framework": "studio9", "inputs": [{"name": "pictures", "holds": "pictures"}]},
    ],
}  # fmt: skip


class Installation:
    """A Baile that can be stopped, killed and started again on what it left."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.stand_ins = folder, StandIns()
        worker = {"organisation": "system", "last_seen": "2026-11-21T00:00:00.000000Z", "catalogue": CATALOGUE}
        self.stand_ins.documents["workers"] = {"w1": worker}
        self.settings = BaileSettings(
            state_dir=folder,
            database_url=SecretStr(database_url),
            user_keys=SecretStr(KEYS),
            password_memory_kib=64,
            buckets=(Bucket(id="local", name="inbox"),),
            database_pool=4,
            republish_s=0.2,
            max_picture=1 << 20,
            max_pixels=4_000_000,
            decoders=1,
        )
        self.bus: EmbeddedBus
        self.objects: LocalObjects
        self.baile: BaileService

    async def start(self, **settings: Any) -> BaileService:
        keys = TokenKeys(KEYS)
        self.settings = self.settings.model_copy(update=settings)
        self.bus = await EmbeddedBus.open(self.folder / "bus.sqlite")
        self.objects = LocalObjects(self.folder / "objects", base_url="http://baile/objects")
        self.baile = build(
            self.settings,
            bus=self.bus,
            objects=self.objects,
            aries=AriesClient(self.stand_ins.aries, service="baile", keys=keys, retry_s=0.2),
            argo=ArgoClient(self.stand_ins.argo, service="baile", keys=keys, retry_s=0.2),
        )
        await self.baile.start()
        return self.baile

    async def stop(self) -> None:
        await self.baile.stop()
        await self.bus.close()
        await self.objects.close()

    def http(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.baile.asgi, raise_app_exceptions=False, client=("127.0.0.1", 1))
        return httpx.AsyncClient(transport=transport, base_url="http://baile", timeout=30)

    async def first_user(self, organisation: str, username: str) -> Api:
        """A new organisation and its administrator, signed in."""
        http = self.http()
        token = await self.baile.create_bootstrap_token()
        body = {
            "token": token, "organisation": organisation, "username": username, "email": f"{username}@lab.test",
            "password": PASSWORD, "firstName": username.title(), "lastName": "Li",
        }  # fmt: skip
        made = await http.post("/v1/bootstrap", json=body)
        assert made.status_code == 201, made.text
        return await self.sign_in(username)

    async def sign_in(self, username: str) -> Api:
        http = self.http()
        answer = await http.post("/v2.0/signin", json={"username": username, "password": PASSWORD, "remember": None})
        assert answer.status_code == 200, answer.text
        return Api(http, answer.json()["access_token"])

    def signed_in(self, username: str) -> Api:
        """A user whom the database's template has, with the sign-in from there."""
        return Api(self.http(), SIGNED_IN[username, self.baile.core.database.alone])


SIGNED_IN: dict[tuple[str, bool], str] = {}
"""The tokens of the users in the populated templates, by user name and whether in
SQLite: made once, good in every test."""


async def populate(installation: Installation, _: None) -> None:
    """Ana, the administrator of `lab`, and Bo, the one of `harbour`, each signed in."""
    for organisation, username in (("lab", "ana"), ("harbour", "bo")):
        user = await installation.first_user(organisation, username)
        SIGNED_IN[username, installation.baile.core.database.alone] = user.token
        await user.http.aclose()


STAGES["populated"] = Stage("empty", populate)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Templates]:
    """By the kind of the database."""
    return {
        kind: Templates(kind, tmp_path_factory.mktemp(f"{kind}-templates"), Installation)
        for kind in ("sqlite", "postgresql")
    }


@pytest.fixture(scope="session", autouse=True)
def shared_statements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        share_statements(patch)
        yield


NO_SERVER = pytest.mark.skipif(not POSTGRESQL, reason="STUDIO9_TEST_POSTGRESQL_URL is not set")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NO_SERVER)])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a migrated database of each kind, as if fresh: of the last stage that the test has a fixture
    `at_STAGE` of, with its objects in the installation's folder."""
    stage = next((name for name in reversed(STAGES) if f"at_{name}" in request.fixturenames), "empty")
    templates = request.getfixturevalue("templates")[request.param]
    template = templates.stage(stage)
    copy_objects(template, tmp_path)
    if request.param == "sqlite":
        path = tmp_path / "baile.sqlite"
        shutil.copy(template.database, path)
        yield f"sqlite:///{path}"
        return
    reused = templates.reused(stage)
    if "disk" in request.fixturenames:  # a small one, which has no room for what others have left
        await reused.drop()
    yield await reused.take()
    await reused.give_back()


@pytest.fixture
def at_populated() -> None:
    """For tests whose database has users."""


@pytest.fixture
def made(templates: dict[str, Templates], database_url: str) -> Callable[[str], Any]:
    """What a stage's making has told."""
    return lambda stage: copy.deepcopy(templates[database_url.partition(":")[0]].stage(stage).made)


@pytest.fixture
async def installation(tmp_path: Path, database_url: str) -> AsyncIterator[Installation]:
    """A running Baile."""
    made = Installation(tmp_path, database_url)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ana(at_populated: None, installation: Installation) -> Api:
    """The administrator of the organisation `lab`."""
    return installation.signed_in("ana")


@pytest.fixture
async def bo(at_populated: None, installation: Installation) -> Api:
    """The administrator of another organisation."""
    return installation.signed_in("bo")


def png_of(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (10, 20, 30), form: str = "PNG") -> bytes:
    """A PNG file; another colour, another file."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form)
    return out.getvalue()


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Makes PNG files."""
    return png_of


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Waits for a coroutine function to answer something true."""

    async def wait(check: Callable[[], Awaitable[Any]], timeout_s: float = 120.0) -> Any:
        async with asyncio.timeout(timeout_s):
            while True:
                if answer := await check():
                    return answer
                await asyncio.sleep(0.01)

    return wait
