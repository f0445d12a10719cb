"""Images of a private registry: whose credentials open them, and that they go when there is no room."""

import io
import json
import os
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo.app import Argo
from studio9_argo.app import build as build_argo
from studio9_argo.settings import ArgoSettings
from studio9_common.clients.argo import ArgoClient
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.tokens import TokenKeys
from studio9_worker.runners.engine import Engine
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.port import ImageMissing, Login

from .harness import Platform

MIB = 1 << 20


@dataclass(slots=True)
class Shop:
    """A registry with images of our own in it; `push` gives an image's reference by digest."""

    client: Any
    place: str
    login: Login
    names: list[str]

    def push(self, size: int = 1000) -> str:
        """A new image of so many bytes, in the registry and not on this machine."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("filling")
            entry.size = size
            archive.addfile(entry, io.BytesIO(os.urandom(size)))
        name = f"{self.place}/test-{uuid.uuid4().hex[:12]}"
        self.client.import_image_from_data(packed.getvalue(), repository=name, tag="one", changes=['CMD ["/filling"]'])
        self.names.append(f"{name}:one")
        auth = {"username": self.login.username, "password": self.login.password}
        digest = ""
        for line in self.client.push(name, tag="one", auth_config=auth, stream=True, decode=True):
            assert "error" not in line, line
            digest = (line.get("aux") or {}).get("Digest", digest)
        self.client.remove_image(f"{name}:one")
        return f"{name}@{digest}"

    def has(self, reference: str) -> bool:
        """Whether the image is on this machine."""
        try:
            self.client.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return False
        return True


@pytest.fixture
def shop(docker_url: str, registry_url: str) -> Iterator[Shop]:
    parts = urlsplit(registry_url)
    client = docker.APIClient(base_url=docker_url, version="auto", timeout=60)
    made = Shop(client, f"{parts.hostname}:{parts.port}", Login(parts.username or "", parts.password or ""), [])
    yield made
    client.close()


@pytest.fixture
def store(docker_url: str, tmp_path: Path) -> Iterator[ImageStore]:
    engine = Engine(docker_url)
    yield ImageStore(engine, tmp_path / "images.json", 3 * MIB)
    engine.close()


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys(TokenKeys.generate())


@pytest.fixture
async def argo(platform: Platform, tmp_path: Path, keys: TokenKeys) -> AsyncIterator[Argo]:
    documents = await SqliteDocuments.open(tmp_path / "argo.sqlite")
    settings = ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))
    service = build_argo(settings, documents=documents, bus=platform.bus, keys=keys)
    await service.start()
    yield service
    await service.stop()
    await documents.close()


async def test_what_was_not_used_for_longest_goes_when_there_is_no_room(shop: Shop, store: ImageStore) -> None:
    first, second, third = (shop.push(MIB + 1000) for _ in range(3))
    for reference in (first, second):
        store.bring(reference, reference, shop.login)
        store.release(reference)
    store.bring("again", first, shop.login)
    store.release("again")
    store.bring(third, third, shop.login)
    assert [shop.has(reference) for reference in (first, second, third)] == [True, False, True]
    fourth = shop.push(2 * MIB)
    store.bring(fourth, fourth, shop.login)
    assert shop.has(third), "a task is about to begin with it"
    assert [shop.has(reference) for reference in (first, fourth)] == [False, True]
    store.release(third)
    store.release(fourth)


async def test_foreign_images_and_those_in_use_stay(shop: Shop, docker_url: str, tmp_path: Path) -> None:
    foreign, used = shop.push(MIB), shop.push(MIB)
    name, _, digest = foreign.rpartition("@")
    auth = {"username": shop.login.username, "password": shop.login.password}
    shop.client.pull(name, tag=digest, auth_config=auth)
    engine = Engine(docker_url)
    full = ImageStore(engine, tmp_path / "images.json", 0)
    full.bring("foreign", foreign, None)
    full.bring("used", used, shop.login)
    container = shop.client.create_container(used)["Id"]
    try:
        full.release("foreign")
        full.release("used")
        again = ImageStore(engine, tmp_path / "images.json", 0)  # as the agent's successor
        again.shrink()
        assert (shop.has(foreign), shop.has(used)) == (True, True)
    finally:
        shop.client.remove_container(container)
    again.shrink()
    assert (shop.has(foreign), shop.has(used)) == (True, False)
    shop.client.remove_image(foreign)
    engine.close()


async def test_what_ones_credentials_brought_opens_for_nobody_else(shop: Shop, store: ImageStore) -> None:
    reference = shop.push()
    with pytest.raises(ImageMissing):
        store.bring("j1", reference, None)
    with pytest.raises(ImageMissing):
        store.bring("j1", reference, Login(shop.login.username, "wrong"))
    found = store.bring("j1", reference, shop.login)
    for other in (reference, found.id):
        with pytest.raises(ImageMissing, match="private"):
            store.bring("j2", other, None)
    with pytest.raises(ImageMissing, match="credentials"):
        store.bring("j2", reference, Login(shop.login.username, "wrong"))
    assert store.bring("j2", reference, shop.login).id == found.id
    for holder in ("j1", "j2"):
        store.release(holder)


async def test_a_users_credentials_open_their_image_and_are_nowhere(
    platform: Platform,
    shop: Shop,
    argo: Argo,
    keys: TokenKeys,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    baile = ArgoClient(argo.asgi, service="baile", keys=keys)
    secret = {"username": shop.login.username, "password": shop.login.password}
    mine = (await baile.add_secret("registry", secret, audiences=["worker"], organisation="acme")).id
    theirs = (await baile.add_secret("registry", secret, audiences=["worker"], organisation="other")).id
    await baile.close()
    worker = ArgoClient(argo.asgi, service="worker", keys=keys)
    await platform.start_worker(argo=worker)
    reference = shop.push()
    for named, code in ((None, "image_missing"), (theirs, "bad_input"), (mine, "image_unusable")):
        job = await platform.run("wait", image=reference, image_secret=named)
        result: Any = await platform.result(job)
        assert (result.outcome, result.reason.code) == ("failed", code)
        assert shop.login.password not in result.model_dump_json()
        await platform.clean(job)
    assert shop.has(reference)
    assert shop.login.password not in capsys.readouterr().out
    assert files_with(tmp_path, shop.login.password) == []
    await platform.stop_worker()
    await worker.close()


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below a folder that hold a text."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_registry_is_closed_to_strangers(registry_url: str) -> None:
    parts = urlsplit(registry_url)
    answer = httpx.get(f"http://{parts.hostname}:{parts.port}/v2/_catalog")
    assert answer.status_code == 401
    assert json.loads(answer.content)["errors"][0]["code"] == "UNAUTHORIZED"
