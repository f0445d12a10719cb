"""Baile's API over a million pictures on PostgreSQL and S3: latencies of lists, and rates against the bare parts.

`list_p95_ms`, `filter_p95_ms` (by one label), `search_p95_ms` (a part of a name) and `count_p95_ms` (of all, by label):
pages of 30 of an album with nine tenths of a million pictures, one request after the other, each answered whole. Lists
are asked for in three orders, near the beginning and near the end; `deep_list_p95_ms` is of pages anywhere.

`upload_vs_copy_ratio`: small pictures a second through the API (received, decoded in a child process, stored, known
and counted) against boto3 putting the same bytes into the same server on one thread. `requests_vs_bare_ratio`:
an authenticated read against a bare FastAPI route with the same check of the token and the same queries.
"""

import asyncio
import io
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import boto3
from PIL import Image

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.api_data import LABELS, Filled, fill
from studio9_cli.bench.kit.http_arm import Connection, rate
from studio9_cli.servers.instances import is_ready
from studio9_cli.servers.processes import Processes
from studio9_common.tokens import TokenKeys

NEEDS = ("postgresql", "s3")
PICTURES, QUICK_PICTURES = 1_000_000, 5_000
REQUESTS, QUICK_REQUESTS = 300, 10
UPLOADS, QUICK_UPLOADS = 2_000, 20
"""Pictures of one arm's turn; five turns make ten thousand."""
AT_ONCE = 8
"""Connections that upload, or read."""
PASSWORD = "Bench-mark-9"
GOAL_MS, OTHER_GOAL_MS = 100.0, 500.0


@dataclass(frozen=True, slots=True)
class Place:
    """A running Baile with a signed-in user."""

    address: str
    bare: str
    token: str
    data: Filled
    s3: Any
    bucket: str


async def run(bench: Bench) -> list[Figure]:
    """All figures."""
    async with _place(bench) as place:
        figures = await _latencies(bench, place)
        figures.append(await _uploads(bench, place))
        target = f"/albums/{place.data.album}"
        figures.append(
            await bench.paired(
                "requests_vs_bare_ratio",
                "requests/s",
                lambda seconds: rate(place.address, place.token, f"/v2.0{target}", seconds, AT_ONCE),
                lambda seconds: rate(place.bare, place.token, target, seconds, AT_ONCE),
                against="bare FastAPI route",
                goal=0.8,
            )
        )
        return figures


@asynccontextmanager
async def _place(bench: Bench) -> AsyncIterator[Place]:
    """Baile on a database and a bucket of its own, both gone afterwards."""
    name = f"bench_api_{secrets.token_hex(4)}"
    admin = bench.address("STUDIO9_TEST_POSTGRESQL_URL")
    database = f"{admin.rpartition('/')[0]}/{name}"
    server = urlsplit(bench.address("STUDIO9_TEST_S3_URL"))
    endpoint = f"http://{server.hostname}:{server.port}"
    bucket = name.replace("_", "-")
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=server.username,
        aws_secret_access_key=server.password,
        region_name="us-east-1",
    )
    await asyncio.to_thread(s3.create_bucket, Bucket=bucket)
    await _execute(admin, f"CREATE DATABASE {name}")
    processes = Processes()
    folder = Path(tempfile.mkdtemp(prefix="studio9-bench-"))
    processes.remove_at_end(folder)
    keys, port, bare_port = TokenKeys.generate(), processes.free_port(), processes.free_port()
    environment = {
        "STUDIO9_STATE_DIR": str(folder / "state"),
        "STUDIO9_PORT": str(port),
        "STUDIO9_TOKEN_KEYS": TokenKeys.generate(),
        "STUDIO9_LOG_LEVEL": "error",
        "STUDIO9_ARIES_URL": f"http://127.0.0.1:{processes.free_port()}",
        "STUDIO9_ARGO_URL": f"http://127.0.0.1:{processes.free_port()}",
        "STUDIO9_BUS_URL": f"sqlite:///{folder}/bus.sqlite",
        "STUDIO9_OBJECTS_URL": f"s3://{bucket}",
        "STUDIO9_OBJECTS_ENDPOINT": endpoint,
        "STUDIO9_OBJECTS_ACCESS_KEY": server.username or "",
        "STUDIO9_OBJECTS_SECRET_KEY": server.password or "",
        "STUDIO9_BAILE_DATABASE_URL": database,
        "STUDIO9_BAILE_USER_KEYS": keys,
        "STUDIO9_BAILE_PORT": str(port),
    }
    try:
        baile = [sys.executable, "-m", "studio9_baile"]
        once = await asyncio.create_subprocess_exec(
            *baile, "bootstrap-token", env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
        )
        token = (await once.communicate())[0].decode().split()[-1]
        address = f"http://127.0.0.1:{port}"
        running = processes.spawn("baile", baile, log=folder / "baile.log", environment=environment, folder=folder)
        await asyncio.to_thread(running.wait_until, partial(is_ready, address), 60.0)
        bare = [sys.executable, "-m", "studio9_cli.bench.kit.bare_api", str(bare_port), database, keys]
        processes.spawn("bare", bare, log=folder / "bare.log", environment={}, folder=folder)
        organisation, user, signed_in = await _first_user(address, token)
        size = QUICK_PICTURES if bench.quick else PICTURES
        data = await fill(database, organisation, user, size)
        yield Place(address, f"http://127.0.0.1:{bare_port}", signed_in, data, s3, bucket)
    finally:
        processes.close()
        await _execute(admin, f"DROP DATABASE {name} WITH (FORCE)")
        await asyncio.to_thread(_empty, s3, bucket)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _first_user(address: str, token: str) -> tuple[str, str, str]:
    """Organisation, user and token."""
    body = {
        "token": token, "organisation": "bench", "username": "bench", "email": "bench@lab.test", "password": PASSWORD,
        "firstName": "Bench", "lastName": "Mark",
    }  # fmt: skip
    async with Connection(address) as connection:
        made = json.loads(await connection.send("POST", "/v1/bootstrap", json.dumps(body).encode()))
        credentials = json.dumps({"username": "bench", "password": PASSWORD}).encode()
        signed_in = json.loads(await connection.send("POST", "/v2.0/signin", credentials))
    return made["organisation"], made["id"], signed_in["access_token"]


async def _latencies(bench: Bench, place: Place) -> list[Figure]:
    count = QUICK_REQUESTS if bench.quick else REQUESTS
    chance = random.Random(9)
    pages = f"/v2.0/albums/{place.data.album}/pictures?page_size=30"
    last = place.data.pictures * 9 // 10 // 30
    labels = [f"label%20{chance.randrange(LABELS):02d}" for _ in range(count)]

    def listed(page: Callable[[], int]) -> list[str]:
        orders = ("", "fileName", "-fileName")
        return [f"{pages}&page={page()}&order={chance.choice(orders)}" for _ in range(count)]

    filtered = [f"{pages}&labels={label}&order=fileName&page={n % 10 + 1}" for n, label in enumerate(labels)]
    searched = [f"{pages}&search={chance.randrange(10**6):06d}" for _ in range(count)]
    one = pages.replace("=30", "=1")
    tags = f"/v2.0/albums/{place.data.album}/tags"
    counted = [tags if n % 2 else f"{one}&labels={label}" for n, label in enumerate(labels)]
    ends = [*range(1, 11), *range(last - 10, last)]
    return [
        await _p95(place, "list_p95_ms", listed(lambda: chance.choice(ends)), GOAL_MS),
        await _p95(place, "filter_p95_ms", filtered, GOAL_MS),
        await _p95(place, "search_p95_ms", searched, GOAL_MS),
        await _p95(place, "count_p95_ms", counted, GOAL_MS),
        await _p95(place, "deep_list_p95_ms", listed(lambda: chance.randint(1, last)), OTHER_GOAL_MS),
    ]


async def _p95(place: Place, name: str, targets: Sequence[str], goal: float) -> Figure:
    took: list[float] = []
    async with Connection(place.address, place.token) as connection:
        for target in targets[:5]:
            await connection.send("GET", target)
        for target in targets:
            begun = time.perf_counter()
            await connection.send("GET", target)
            took.append((time.perf_counter() - begun) * 1e3)
    took.sort()
    spread = {"requests": len(took), "p50_ms": took[len(took) // 2], "worst_ms": took[-1]}
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    return Figure(name, "ms", p95, goal=goal, at_most=True, extra={**spread, "pictures": place.data.pictures})


async def _uploads(bench: Bench, place: Place) -> Figure:
    number = QUICK_UPLOADS if bench.quick else UPLOADS
    async with Connection(place.address, place.token) as connection:
        body = json.dumps({"name": "uploads", "labelMode": "LOCALIZATION"}).encode()
        album = json.loads(await connection.send("POST", "/v2.0/albums", body))["id"]

    async def ours(_: float) -> float:
        waiting = await asyncio.to_thread(_small, number)

        async def one() -> None:
            async with Connection(place.address, place.token) as connection:
                while waiting:
                    kind, form = _form(waiting.pop())
                    await connection.send("POST", f"/v2.0/albums/{album}/uploadPicture", form, kind)

        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
        return number / (time.perf_counter() - begun)

    async def copied(_: float) -> float:
        return await asyncio.to_thread(_copy, place, _small(number))

    return await bench.paired(
        "upload_vs_copy_ratio", "pictures/s", ours, copied, against="boto3 on one thread", goal=0.5
    )


def _small(number: int) -> list[bytes]:
    """So many different small pictures."""
    found = []
    for _ in range(number):
        out = io.BytesIO()
        Image.frombytes("RGB", (32, 32), secrets.token_bytes(3072)).save(out, "PNG")
        found.append(out.getvalue())
    return found


def _form(content: bytes) -> tuple[str, bytes]:
    mark = "bench0123456789"
    head = 'Content-Disposition: form-data; name="file"; filename="p.png"\r\nContent-Type: image/png'
    name = 'Content-Disposition: form-data; name="filename"'
    body = f"--{mark}\r\n{head}\r\n\r\n".encode() + content
    body += f"\r\n--{mark}\r\n{name}\r\n\r\npicture\r\n--{mark}--\r\n".encode()
    return f"multipart/form-data; boundary={mark}", body


def _copy(place: Place, pictures: Sequence[bytes]) -> float:
    begun = time.perf_counter()
    for content in pictures:
        place.s3.put_object(Bucket=place.bucket, Key=f"copied/{secrets.token_hex(16)}", Body=content)
    return len(pictures) / (time.perf_counter() - begun)


def _empty(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if keys := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    s3.delete_bucket(Bucket=bucket)
