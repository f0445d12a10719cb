"""The same tests for every adapter; S3 where STUDIO9_TEST_S3_URL names a server."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport
from pydantic import SecretStr

from studio9_cli.pytest_servers import address
from studio9_common.ids import new_id
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.local import LocalObjects
from studio9_common.objects.local_http import router
from studio9_common.objects.port import Objects


@pytest.fixture(params=["local", "s3"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    if request.param == "local":
        settings = ObjectsSettings(url=(tmp_path / "objects").as_uri(), profile="test")
    else:
        server = urlsplit(address("STUDIO9_TEST_S3_URL"))
        endpoint = f"{server.scheme}://{server.hostname}:{server.port}"
        access, secret = server.username or "", server.password or ""
        bucket = f"contract-{new_id()}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=bucket)
        settings = ObjectsSettings(
            url=f"s3://{bucket}/below",
            profile="test",
            endpoint=endpoint,
            access_key=access,
            secret_key=SecretStr(secret),
        )
    opened = open_objects(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def out_of_reach(objects: Objects, tmp_path: Path) -> Objects:
    """The same adapter; its index is closed, or nothing listens at its address."""
    if isinstance(objects, LocalObjects):
        closed = open_objects(ObjectsSettings(url=(tmp_path / "closed").as_uri(), profile="test"))
    else:
        nowhere = {"url": "s3://nowhere", "endpoint": "http://127.0.0.1:1", "access_key": "a"}
        closed = open_objects(ObjectsSettings(**nowhere, profile="test", secret_key=SecretStr("b")))
    await closed.close()
    return closed


@pytest.fixture
async def browser(objects: Objects) -> AsyncIterator[httpx.AsyncClient]:
    """What opens signed URLs: over the network, or in this process for the local adapter."""
    transport = None
    if isinstance(objects, LocalObjects):
        app = FastAPI()
        app.include_router(router(objects, max_body=1 << 20), prefix="/objects")
        transport = ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as client:
        yield client
