"""A server that speaks S3, in this process, with a bucket of a user's."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

KEYS = {"AWSAccessKey": "access", "AWSSecretKey": "very-secret", "AWSSessionToken": "token"}
BUCKET = {"AWSRegion": "us-east-1", "AWSS3BucketName": "harbour", **KEYS}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture
async def s3(server: str, installation: Any, ana: Any) -> Any:
    """A client of a bucket `harbour` that is empty; Baile finds users' buckets where it is."""
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="access",
                          aws_secret_access_key="very-secret")  # fmt: skip
    client.create_bucket(Bucket="harbour")
    for one in client.list_objects_v2(Bucket="harbour").get("Contents", []):
        client.delete_object(Bucket="harbour", Key=one["Key"])
    await installation.stop()
    await installation.start(buckets_endpoint=server)
    ana.http = installation.http()
    yield client
    client.close()


async def over(api: Any, until: Any, path: str) -> Any:
    """The process of an asset, once it has ended."""

    async def ended() -> Any:
        found = await api.ok("GET", f"{path}/process")
        return found if found["status"] not in ("QUEUED", "RUNNING") else None

    return await until(ended)
