"""Staging of one attempt with many pictures from an S3 server, and the same files fetched with its bare client."""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import obstore
from obstore.store import S3Store
from pydantic import SecretStr

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.contracts.job import Input, ObjectRef, Spec
from studio9_common.contracts.messages import WorkerRun
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.times import SystemClock
from studio9_task.pictures import PictureRecord
from studio9_worker.cache import InputCache
from studio9_worker.context import Context
from studio9_worker.folders import JobFolders
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptRecord
from studio9_worker.runners.process import ProcessRunner
from studio9_worker.settings import WorkerSettings
from studio9_worker.staging import stage
from studio9_worker.state import WorkerState

REGION = "us-east-1"
BYTES = 20_000
"""Of one picture."""
CACHE = 1 << 40


class Pictures:
    """So many pictures in a bucket of their own; both arms begin with nothing on the disk, and give files a second."""

    def __init__(self, s3: str, folder: Path, count: int) -> None:
        parts = urlsplit(s3)
        self._endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self._login = (parts.username or "", parts.password or "")
        self._bucket = f"bench-{new_id()}"
        self._folder = folder / "staging"
        self._count = count
        self._settings = WorkerSettings(state_dir=self._folder)
        self._keys: list[str] = []
        self._input: Input | None = None

    async def fill(self) -> None:
        """Makes the bucket, the pictures and their manifest."""
        await asyncio.to_thread(self._client().create_bucket, Bucket=self._bucket)
        records: list[PictureRecord] = []
        for begin in range(0, self._count, 500):
            contents = [os.urandom(BYTES) for _ in range(min(500, self._count - begin))]
            made = [_record(content) for content in contents]
            await asyncio.gather(
                *(
                    obstore.put_async(self._store, record.key, content)
                    for record, content in zip(made, contents, strict=True)
                )
            )
            records += made
        self._keys = [record.key for record in records]
        body = b"".join(record.model_dump_json(exclude_none=True).encode() + b"\n" for record in records)
        ref = ObjectRef(key="acme/datasets/bench.jsonl", sha256=hashlib.sha256(body).hexdigest(), size=len(body))
        await obstore.put_async(self._store, ref.key, body)
        self._input = Input(name="train", kind="pictures", ref=ref)

    async def remove(self) -> None:
        """Removes the bucket with everything in it."""
        await obstore.delete_async(self._store, [*self._keys, "acme/datasets/bench.jsonl"])
        await asyncio.to_thread(self._client().delete_bucket, Bucket=self._bucket)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def staged(self, _: float) -> float:
        """As the worker stages an attempt: checked by hash, kept in the cache, linked into the attempt's folder."""
        assert self._input is not None
        async with self._context() as context:
            run = WorkerRun(
                worker="bench", job=new_id(), attempt=1, fence=1, spec=Spec(kind="train", inputs=(self._input,))
            )
            record = AttemptRecord(AttemptKey(run.job, 1), "acme", ("s0",), run, "staging")
            started = time.perf_counter()
            await stage(context, record, 1)
            return self._count / (time.perf_counter() - started)

    async def copied(self, _: float) -> float:
        """As the bare client would: each object fetched, as many at once, and written to a file."""
        folder = self._folder / "copied"
        await asyncio.to_thread(folder.mkdir, parents=True)
        room = asyncio.Semaphore(self._settings.staging_parallel)

        async def copy(key: str) -> None:
            async with room:
                content = await (await obstore.get_async(self._store, key)).bytes_async()
                await asyncio.to_thread((folder / key.rpartition("/")[2]).write_bytes, content)

        started = time.perf_counter()
        await asyncio.gather(*map(copy, self._keys))
        rate = self._count / (time.perf_counter() - started)
        await asyncio.to_thread(shutil.rmtree, self._folder)
        return rate

    @cached_property
    def _store(self) -> S3Store:
        return S3Store(
            self._bucket,
            config={
                "endpoint": self._endpoint,
                "region": REGION,
                "access_key_id": self._login[0],
                "secret_access_key": self._login[1],
                "virtual_hosted_style_request": False,
            },
            client_options={"allow_http": True},
        )

    def _client(self) -> "boto3.client":
        login = {"aws_access_key_id": self._login[0], "aws_secret_access_key": self._login[1]}
        return boto3.client("s3", endpoint_url=self._endpoint, region_name=REGION, **login)

    @asynccontextmanager
    async def _context(self) -> AsyncIterator[Context]:
        """A worker's parts that staging needs, in a new folder."""
        folder = self._folder
        await asyncio.to_thread(folder.mkdir, parents=True)
        state = WorkerState(folder / "worker.sqlite")
        await state.open()
        bus = await EmbeddedBus.open(folder / "bus.sqlite")
        cache = InputCache(folder / "cache", CACHE)
        await cache.open()
        objects = open_objects(
            ObjectsSettings(
                url=f"s3://{self._bucket}",
                endpoint=self._endpoint,
                region=REGION,
                access_key=self._login[0],
                secret_key=SecretStr(self._login[1]),
            )
        )
        try:
            yield Context(
                worker="bench",
                settings=self._settings,
                bus=bus,
                objects=objects,
                clock=SystemClock(),
                state=state,
                cache=cache,
                folders=JobFolders(folder.absolute() / "jobs"),
                runner=ProcessRunner(("false",), Path("/")),
                log=logger("worker"),
            )
        finally:
            await objects.close()
            await bus.close()
            await state.close()
            await asyncio.to_thread(shutil.rmtree, folder)


def _record(content: bytes) -> PictureRecord:
    sha256 = hashlib.sha256(content).hexdigest()
    return PictureRecord(
        picture_id=sha256,
        version=sha256,
        sha256=sha256,
        key=f"acme/pictures/{sha256}",
        filename=f"{sha256[:8]}.png",
        size=len(content),
        width=64,
        height=64,
    )
