"""Jobs whose inputs lie in a bucket of a user's own, on a real S3 server: brought with temporary keys that open nothing
else, which are found nowhere afterwards; and a reason of its own for each way in which that can fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest

from studio9_common.bus.port import Bus, Queue
from studio9_common.contracts.job import Input, Source
from studio9_common.contracts.reasons import Reason
from studio9_common.errors import Unavailable
from studio9_common.ids import new_id

from ..e2e.deployment import REGION, endpoint_of
from .deployed import DeployedPlatform
from .embedded import EmbeddedPlatform
from .requester import Requester

FILES = {"nets/base.bin": "weights", "extra/a.txt": "a", "extra/deep/b c+d.txt": "b", "extra/": "", "many/1/x": "1",
         "many/2": "2", "many/3": "3", "many/4": "4",
         **{f"shown/{name}/": "" for name in "abcd"}}  # fmt: skip


WITHIN_S = 90
"""A job may wait for its turn on a busy machine; nothing here is about how fast it is."""


@dataclass(frozen=True)
class Harbour:
    """A bucket of a user's, and temporary keys that read it and nothing else."""

    endpoint: str
    name: str
    keys: Mapping[str, str]

    def file(self, credential: str, key: str = "nets/base.bin", **more: Any) -> Input:
        place = {"bucket": self.name, "region": REGION, "credential": credential, "key": key}
        return Input(name=more.pop("name", "weights"), kind="file", source=Source(**(place | more)))

    def folder(self, credential: str, prefix: str = "extra/") -> Input:
        source = Source(bucket=self.name, region=REGION, credential=credential, prefix=prefix)
        return Input(name="more", kind="folder", source=source)


@pytest.fixture(scope="module")
def harbour(s3_url: str) -> Harbour:
    server, endpoint, name = urlsplit(s3_url), endpoint_of(s3_url), f"harbour-{new_id()}"
    given = {"endpoint_url": endpoint, "region_name": REGION, "aws_access_key_id": server.username,
             "aws_secret_access_key": server.password}  # fmt: skip
    client = boto3.client("s3", **given)
    for bucket in (name, f"{name}-closed"):
        client.create_bucket(Bucket=bucket)
        for key, content in FILES.items():
            client.put_object(Bucket=bucket, Key=key, Body=content.encode())
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }]}  # fmt: skip
    lent = boto3.client("sts", **given).assume_role(
        RoleArn="arn:minio:iam:::role/user", RoleSessionName="user", Policy=json.dumps(policy), DurationSeconds=3600
    )["Credentials"]
    keys = {"access_key": lent["AccessKeyId"], "secret_key": lent["SecretAccessKey"], "token": lent["SessionToken"]}
    return Harbour(endpoint, name, keys)


async def stored(platform: Any, value: Mapping[str, str], organisation: str | None = None) -> str:
    """The reference of a user's credential."""
    owner = organisation or platform.requester.organisation
    argo = platform.operator()
    async with asyncio.timeout(WITHIN_S):
        while True:
            with suppress(Unavailable):  # a store that is busy: one that nobody names does no harm
                info = await argo.add_secret("harbour", dict(value), audiences=("worker",), organisation=owner)
                await argo.close()
                return str(info.id)


@asynccontextmanager
async def everything_said(bus: Bus) -> AsyncIterator[list[bytes]]:
    """The bodies of all messages, from now on."""
    queue, bodies = Queue(f"test.all-{new_id()}.v1", ("#",), expires_s=60), list[bytes]()
    await bus.declare(queue)

    async def listen() -> None:
        async with bus.consume(queue.name) as consumer:
            while True:
                for delivery in await consumer.get(64):
                    bodies.append(delivery.body)
                    await delivery.ack()

    listener = asyncio.create_task(listen())
    try:
        yield bodies
    finally:
        listener.cancel()
        await asyncio.wait([listener])
        await bus.delete(queue.name)


def files_with(folder: Path, *texts: str) -> list[Path]:
    """The files below a folder that hold one of the texts."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if any(text.encode() in path.read_bytes() for text in texts)]


async def brought(platform: Any, harbour: Harbour, label: str) -> list[bytes]:
    """A job gets a file and a folder, and a second one the same; what was said on the bus meanwhile."""
    asks: Requester = platform.requester
    credential = await stored(platform, harbour.keys)
    inputs = (harbour.file(credential), harbour.folder(credential))
    async with everything_said(asks.bus) as said:
        for _ in range(2):
            job = await asks.completed(await asks.submit("files", inputs=inputs, labels=(label,)), WITHIN_S)
            assert job.result is not None
            told = job.result.summary
            assert told["files"] == {"weights/weights.bin": "weights", "more/a.txt": "a", "more/deep/b c+d.txt": "b"}
            assert told["names"] == [], "the platform's own trainers are not told of them"
            assert not [value for value in told["environment"].values() if harbour.keys["secret_key"] in value]
        await asks.clean(job.id, WITHIN_S)
    assert any(credential.encode() in body for body in said), "the reference is what a job names"
    operator = platform.operator()
    await operator.delete_secret(credential, organisation=asks.organisation)
    await operator.close()
    assert (await failed(asks, *inputs, label=label)).code == "credential_missing"
    return said


async def failed(asks: Requester, *inputs: Input, label: str = "worker-1") -> Reason:
    """Why a job with these inputs failed, at its first attempt."""
    job = await asks.ended(await asks.submit("files", inputs=inputs, labels=(label,)), WITHIN_S)
    assert job.reason is not None and len(job.attempts) <= 1, job.events
    assert job.reason.message
    return job.reason


async def test_what_opens_a_bucket_is_found_nowhere(
    harbour: Harbour, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with EmbeddedPlatform.opened(tmp_path, buckets_endpoint=harbour.endpoint) as platform:
        said = await brought(platform, harbour, "worker-1")
        kept = list((tmp_path / "worker-1").rglob("cache/*/sources/*"))
        assert len(kept) == 3, "each once, for both jobs"
        secrets = (harbour.keys["secret_key"], harbour.keys["token"])
        assert files_with(tmp_path, *secrets) == []
        assert not [body for body in said if any(one.encode() in body for one in secrets)]
    printed = "".join(capsys.readouterr())
    assert "secret_revealed" in printed and not [one for one in secrets if one in printed]


async def test_each_failure_has_its_reason(harbour: Harbour, tmp_path: Path) -> None:
    async with EmbeddedPlatform.opened(tmp_path, buckets_endpoint=harbour.endpoint, bucket_objects=3) as platform:
        asks = platform.requester
        mine = await stored(platform, harbour.keys)
        theirs = await stored(platform, harbour.keys, "other")
        wrong = await stored(platform, {**harbour.keys, "secret_key": "x" * 40})
        empty = await stored(platform, {"username": "u", "password": "p"})
        cases: list[tuple[Input, str, str]] = [
            (harbour.file(theirs), "credential_missing", "store it"),
            (harbour.file(empty), "bad_input", "no keys of a bucket"),
            (harbour.file(wrong), "source_refused", "SignatureDoesNotMatch"),
            (harbour.file(mine, bucket=f"{harbour.name}-closed"), "source_refused", "AccessDenied"),
            (harbour.file(mine, "nets/none.bin"), "source_missing", "'nets/none.bin'"),
            (harbour.folder(mine, "none/"), "source_missing", "nothing below 'none/'"),
            (harbour.folder(mine, "many/"), "source_too_large", "at most 20 GiB and 3 objects"),
            (harbour.folder(mine, "shown/"), "source_too_large", "at most 20 GiB and 3 objects"),
            (harbour.file(mine, sha256="a" * 64), "bad_input", "another sha256"),
            (harbour.file(mine, endpoint="https://127.0.0.1:1"), "bad_input", "open internet"),
            (harbour.file(mine, endpoint="http://8.8.8.8"), "bad_input", "https://"),
            (harbour.file(mine, name="model"), "bad_input", "inputs.0.name"),
            (replace(harbour.file(mine), source=None), "bad_input", "either a ref or a source"),
        ]
        for one, code, message in cases:
            found = await failed(asks, one)
            assert (found.code, found.class_) == (code, "user") and message in found.message, (one, found)
            assert harbour.keys["secret_key"] not in found.message


async def test_on_real_servers_too(
    harbour: Harbour, deployed: DeployedPlatform, elasticsearch_url: str, tmp_path: Path
) -> None:
    deployment = deployed.deployment
    said = await brought(deployed, harbour, "worker-1")
    secrets = (harbour.keys["secret_key"], harbour.keys["token"])
    assert not [body for body in said if any(one.encode() in body for one in secrets)]
    assert files_with(deployment.folder, *secrets) == [], "folders and logs of every service"
    async with AsyncExitStack() as stack:
        server = urlsplit(elasticsearch_url)
        auth = (server.username or "", server.password or "")
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=endpoint_of(elasticsearch_url), auth=auth))
        found = (await http.get(f"/*{deployment.name}*/_search", params={"size": 10_000})).raise_for_status().text
    assert deployed.requester.organisation in found and not [one for one in secrets if one in found]
