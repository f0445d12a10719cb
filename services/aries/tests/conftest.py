"""Aries on the embedded store, called through its real client."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from studio9_aries.app import Aries, build
from studio9_aries.settings import AriesSettings
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.job import Job, Spec
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.ids import new_id
from studio9_common.tokens import TokenKeys

NOW = "2026-11-21T11:17:04.123456Z"
Clients = Callable[[str], AriesClient]


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys(TokenKeys.generate())


@pytest.fixture
async def aries(tmp_path: Path, keys: TokenKeys) -> AsyncIterator[Aries]:
    documents = await SqliteDocuments.open(tmp_path / "aries.sqlite")
    service = build(AriesSettings(), documents=documents, keys=keys)
    await service.start()
    yield service
    await service.stop()
    await documents.close()


@pytest.fixture
async def as_service(aries: Aries, keys: TokenKeys) -> AsyncIterator[Clients]:
    """A client that calls as the named service."""
    opened: list[AriesClient] = []

    def client(service: str) -> AriesClient:
        opened.append(AriesClient(aries.asgi, service=service, keys=keys, retry_s=0))
        return opened[-1]

    yield client
    for made in opened:
        await made.close()


@pytest.fixture
def orion(as_service: Clients) -> AriesClient:
    return as_service("orion")


def a_job(organisation: str = "acme") -> Job:
    return Job(
        id=new_id(),
        organisation=organisation,
        owner="u1",
        spec=Spec(kind="train"),
        request_hash="h",
        created_at=NOW,
        updated_at=NOW,
    )
