"""The same tests for every adapter; Elasticsearch where STUDIO9_TEST_ELASTICSEARCH_URL names a server."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from studio9_common.documents.connect import open_documents
from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.documents.port import Documents, FieldType, Index
from studio9_common.ids import new_id

THINGS = Index(
    "things",
    {
        "organisation": FieldType.keyword,
        "state": FieldType.keyword,
        "labels": FieldType.keyword,
        "count": FieldType.long,
        "score": FieldType.double,
        "done": FieldType.boolean,
        "created_at": FieldType.time,
        "detail": FieldType.stored,
    },
)
DIARY = Index(
    "diary", {"organisation": FieldType.keyword, "page": FieldType.long, "text": FieldType.stored}, monthly=True
)


@pytest.fixture
def elasticsearch_url() -> str:
    url = os.environ.get("STUDIO9_TEST_ELASTICSEARCH_URL")
    if not url:
        pytest.skip("STUDIO9_TEST_ELASTICSEARCH_URL is not set: no Elasticsearch server to test against")
    return url


@pytest.fixture(params=["sqlite", "elasticsearch"])
def documents_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/documents.sqlite"
    return str(request.getfixturevalue("elasticsearch_url"))


@pytest.fixture
def prefix() -> str:
    return f"test-{new_id()}"


@pytest.fixture
async def documents(documents_url: str, prefix: str) -> AsyncIterator[Documents]:
    opened = await open_documents(documents_url, prefix=prefix)
    await opened.ensure(THINGS, DIARY)
    yield opened
    await tidy(opened)
    await opened.close()


@pytest.fixture
async def out_of_reach(documents_url: str, prefix: str) -> AsyncIterator[Documents]:
    """The same adapter; its file is closed, or nothing listens at its address."""
    if documents_url.startswith("sqlite:"):
        closed = await open_documents(documents_url, prefix=prefix)
        await closed.close()
        yield closed
        return
    opened = await open_documents("http://127.0.0.1:1", prefix=prefix)
    yield opened
    await opened.close()


async def tidy(documents: Documents) -> None:
    """Leaves nothing of this test on a shared server."""
    if isinstance(documents, ElasticsearchDocuments):
        for family in ("things", "diary"):
            for index in await documents.indexes(family):
                await documents.drop(index)
        await documents.forget("things", "diary")
