"""Argo on the embedded store and bus, called through its real client."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo.app import Argo, build
from studio9_argo.settings import ArgoSettings
from studio9_common.bus import Bus, open_bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.tokens import TokenKeys

Clients = Callable[[str], ArgoClient]
LIMIT = {"type": "object", "properties": {"limit": {"type": "integer", "minimum": 1}}, "required": ["limit"]}


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys(TokenKeys.generate())


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    opened = await SqliteDocuments.open(tmp_path / "argo.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    opened = await open_bus(f"sqlite:///{tmp_path}/bus.sqlite", name="test")
    yield opened
    await opened.close()


@pytest.fixture
def settings() -> ArgoSettings:
    return ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))


@pytest.fixture
async def argo(settings: ArgoSettings, documents: SqliteDocuments, bus: Bus, keys: TokenKeys) -> AsyncIterator[Argo]:
    service = build(settings, documents=documents, bus=bus, keys=keys)
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def as_service(argo: Argo, keys: TokenKeys) -> AsyncIterator[Clients]:
    """A client that calls as the named service."""
    opened: list[ArgoClient] = []

    def client(service: str) -> ArgoClient:
        opened.append(ArgoClient(argo.asgi, service=service, keys=keys, retry_s=0))
        return opened[-1]

    yield client
    for made in opened:
        await made.close()
