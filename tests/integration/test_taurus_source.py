"""Taurus reads watched buckets of a real S3 server, and says which trouble a user's and which a server's is."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import boto3
import pytest
from pydantic import SecretStr

from studio9_cli.pytest_servers import address
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.errors import BadInput, Unavailable
from studio9_common.ids import new_id
from studio9_common.objects.port import ObjectMissing
from studio9_common.tokens import TokenKeys
from studio9_taurus.settings import TaurusSettings
from studio9_taurus.sources import S3Source, TooBig


@pytest.fixture
def settings() -> TaurusSettings:
    server = urlsplit(address("STUDIO9_TEST_S3_URL"))
    return TaurusSettings(
        source_endpoint=f"{server.scheme}://{server.hostname}:{server.port}",
        source_access_key=server.username,
        source_secret_key=SecretStr(server.password or ""),
    )


@pytest.fixture
async def argo() -> AsyncIterator[ArgoClient]:
    """Nothing answers there: streams without credentials of their own must not need it."""
    client = ArgoClient("http://127.0.0.1:9", service="taurus", keys=TokenKeys(TokenKeys.generate()), retry_s=0)
    yield client
    await client.close()


@pytest.fixture
def config(settings: TaurusSettings) -> StreamConfig:
    """A stream on a bucket with `in/a b+ü.png`, which holds ten bytes."""
    bucket = f"incoming-{new_id()}"
    assert settings.source_secret_key is not None
    client = boto3.client(
        "s3",
        endpoint_url=settings.source_endpoint,
        aws_access_key_id=settings.source_access_key,
        aws_secret_access_key=settings.source_secret_key.get_secret_value(),
        region_name=settings.source_region,
    )
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="in/a b+ü.png", Body=b"0123456789")
    return StreamConfig(stream="s", owner="u", bucket=bucket, album="a", model="m", model_version="v")


async def test_a_foreign_object_is_read_whole(settings: TaurusSettings, argo: ArgoClient, config: StreamConfig) -> None:
    source = S3Source(settings, argo)
    assert await source.read("acme", config, "in/a b+ü.png", limit=10) == b"0123456789"
    with pytest.raises(TooBig):
        await source.read("acme", config, "in/a b+ü.png", limit=9)


async def test_each_trouble_has_its_own_name(settings: TaurusSettings, argo: ArgoClient, config: StreamConfig) -> None:
    source = S3Source(settings, argo)
    with pytest.raises(ObjectMissing):
        await source.read("acme", config, "in/none.png", limit=10)
    for key in ("a//b.png", "../a.png"):
        with pytest.raises(BadInput):
            await source.read("acme", config, key, limit=10)
    with pytest.raises(Unavailable):
        await source.read("acme", config.model_copy(update={"bucket": f"none-{new_id()}"}), "a.png", limit=10)
    with pytest.raises(Unavailable):
        await source.read("acme", config.model_copy(update={"secret": "not there"}), "a.png", limit=10)
    wrong = settings.model_copy(update={"source_secret_key": SecretStr("wrong")})
    with pytest.raises(Unavailable):
        await S3Source(wrong, argo).read("acme", config, "in/a b+ü.png", limit=10)
