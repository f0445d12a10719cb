"""The same tests for every adapter: embedded; SQS of ElasticMQ with SNS of moto; both of moto (it alone joins them)."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from studio9_cli.pytest_servers import address
from studio9_common.ids import new_id
from studio9_common.streams.connect import StreamsSettings, open_streams
from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.port import Streams

SQS = "STUDIO9_TEST_SQS_URL"
SNS = "STUDIO9_TEST_SNS_URL"
ADAPTERS = {"embedded": (), "sqs": (SQS, SNS), "sns": (SNS, SNS)}


@pytest.fixture(params=ADAPTERS)
async def streams(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Streams]:
    names = ADAPTERS[request.param]
    if not names:
        settings = StreamsSettings(url=(tmp_path / "streams.sqlite").as_uri())
    else:
        sqs, sns = (urlsplit(address(name)) for name in names)
        settings = StreamsSettings(
            url="aws://us-east-1",
            sqs_endpoint=f"{sqs.scheme}://{sqs.hostname}:{sqs.port}",
            sns_endpoint=f"{sns.scheme}://{sns.hostname}:{sns.port}",
            access_key=sqs.username,
            secret_key=SecretStr(sqs.password or ""),
        )
    opened = open_streams(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def out_of_reach(streams: Streams, tmp_path: Path) -> AsyncIterator[Streams]:
    """The same adapter; its file is closed, or nothing listens at its addresses."""
    if isinstance(streams, EmbeddedStreams):
        closed = open_streams(StreamsSettings(url=(tmp_path / "closed.sqlite").as_uri()))
        await closed.close()
        yield closed
        return
    nowhere = {"sqs_endpoint": "http://127.0.0.1:1", "sns_endpoint": "http://127.0.0.1:1", "access_key": "a"}
    opened = open_streams(StreamsSettings(url="aws://us-east-1", **nowhere, secret_key=SecretStr("b")))
    yield opened
    await opened.close()


@pytest.fixture
def joined(request: pytest.FixtureRequest) -> None:
    """Skips where the topics and the queues belong to servers that do not know each other."""
    if "sqs" in request.node.callspec.params.values():
        pytest.skip("ElasticMQ has no SNS, and moto's SNS delivers to moto's own SQS only")


@pytest.fixture
def name() -> str:
    return f"q-{new_id()}"
