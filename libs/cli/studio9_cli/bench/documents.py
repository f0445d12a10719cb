"""Documents on Elasticsearch: group commit against single writes, beats through Aries against the bare client."""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from elasticsearch import AsyncElasticsearch

from studio9_cli.bench import Arm, Bench, Figure
from studio9_common.clients.aries import AriesClient, BulkItem
from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.documents.port import FieldType, Index
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.times import SystemClock, format_time
from studio9_common.tokens import TokenKeys

NEEDS = ("elasticsearch",)
WRITERS = 64
BATCH = 1_000
IN_FLIGHT = 2
"""Bulks under way at once, in both arms."""

JOBS = Index("jobs", {"organisation": FieldType.keyword, "n": FieldType.long, "job": FieldType.stored})
JOB = {"organisation": "acme", "job": {"kind": "train", "notes": "x" * 800}}
"""A document of about 0.9 KB."""


async def run(bench: Bench) -> list[Figure]:
    """Both figures, on one server."""
    url = bench.address("STUDIO9_TEST_ELASTICSEARCH_URL")
    async with AsyncElasticsearch(url, connections_per_node=WRITERS, request_timeout=30) as bare:
        return [await _group_commit(bench, url, bare), await _beats(bench, url, bare)]


async def _group_commit(bench: Bench, url: str, bare: AsyncElasticsearch) -> Figure:
    """64 writers, each replacing a document of its own under compare-and-set, as fast as they are answered."""
    prefix = f"bench-{new_id()}"
    documents = ElasticsearchDocuments.connect(url, prefix=prefix, timeout_s=30)
    await documents.ensure(JOBS)
    names = [f"w{writer}" for writer in range(WRITERS)]
    versions = {name: await documents.put("jobs", name, {**JOB, "n": 0}) for name in names}
    place = f"{prefix}-jobs"

    async def grouped(name: str, n: int) -> None:
        versions[name] = await documents.replace("jobs", name, {**JOB, "n": n}, versions[name])

    async def single(name: str, n: int) -> None:
        sequence, _, term = versions[name].partition(".")
        answer = await bare.index(
            index=place,
            id=name,
            document={**JOB, "n": n, "_key": name, "_write": "bare"},
            if_seq_no=int(sequence),
            if_primary_term=int(term),
        )
        versions[name] = f"{answer['_seq_no']}.{answer['_primary_term']}"

    try:
        return await bench.paired(
            "group_commit_vs_single_ratio",
            "writes/s",
            _writers(names, grouped),
            _writers(names, single),
            against="single conditional writes of the bare client",
            goal=5,
        )
    finally:
        await documents.drop("jobs")
        await documents.forget("jobs")
        await documents.close()


def _writers(names: list[str], write: Callable[[str, int], Awaitable[None]]) -> Arm:
    """An arm of one task per name that writes again as soon as it is answered."""

    async def arm(seconds: float) -> float:
        started = time.perf_counter()
        done = 0

        async def go_on(name: str) -> None:
            nonlocal done
            for n in itertools.count():
                if time.perf_counter() - started >= seconds:
                    return
                await write(name, n)
                done += 1

        await asyncio.gather(*(go_on(name) for name in names))
        return done / (time.perf_counter() - started)

    return arm


async def _beats(bench: Bench, url: str, bare: AsyncElasticsearch) -> Figure:
    """Bulks of a thousand beats: checked by Aries in a process of its own, against the same documents straight to
    the store."""
    installation = f"bench-{new_id()}"
    keys = TokenKeys.generate()
    jobs = [new_id() for _ in range(BATCH)]
    sequence = itertools.count(1)

    async with _aries(url, installation, keys) as address:
        aries = AriesClient(address, service="orion", keys=TokenKeys(keys))

        async def checked() -> None:
            n, now = next(sequence), format_time(SystemClock().now())
            items = [BulkItem(action="put", id=f"{job}:1", body=_beat(job, n, now)) for job in jobs]
            outcomes = await aries.bulk("beats", items)
            if any(outcome.status >= 300 for outcome in outcomes):
                raise Studio9Error(f"a beat was refused: {outcomes[0]}")

        async def straight() -> None:
            n, now = next(sequence), format_time(SystemClock().now())
            operations: list[dict[str, Any]] = []
            for job in jobs:
                operations += ({"index": {"_index": place, "_id": f"{job}:1"}}, _beat(job, n, now))
            answer = await bare.bulk(operations=operations)
            if answer["errors"]:
                raise Studio9Error("the store refused a beat")

        place = f"{installation}-aries-beats"
        try:
            await checked()
            return await bench.paired(
                "beats_vs_bulk_ratio",
                "documents/s",
                _bulks(checked),
                _bulks(straight),
                against="_bulk of the bare client",
                goal=0.4,
            )
        finally:
            await aries.close()
            await _tidy(bare, f"{installation}-aries-")


def _bulks(step: Callable[[], Awaitable[None]]) -> Arm:
    """An arm that keeps IN_FLIGHT bulks under way."""

    async def arm(seconds: float) -> float:
        started = time.perf_counter()
        done = 0

        async def go_on() -> None:
            nonlocal done
            while time.perf_counter() - started < seconds:
                await step()
                done += BATCH

        await asyncio.gather(*(go_on() for _ in range(IN_FLIGHT)))
        return done / (time.perf_counter() - started)

    return arm


def _beat(job: str, sequence: int, now: str) -> dict[str, Any]:
    return {
        "organisation": "acme",
        "job": job,
        "fence": 1,
        "worker": "worker-1",
        "sequence": sequence,
        "phase": "running",
        "progress": 0.25,
        "received_at": now,
        "lease_until": now,
        "detail": {"epoch": 3, "epochs": 10, "remaining_s": 123.4, "metrics": {"map50": 0.5, "train/box_loss": 1.2}},
    }


@contextlib.asynccontextmanager
async def _aries(url: str, installation: str, keys: str) -> AsyncIterator[str]:
    """Aries in a process of its own; gives its address once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "studio9_aries",
        env={
            "STUDIO9_DOCUMENTS_URL": url,
            "STUDIO9_INSTALLATION": installation,
            "STUDIO9_TOKEN_KEYS": keys,
            "STUDIO9_PORT": "0",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        while line := await process.stderr.readline():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if told.get("event") == "listening":
                    reading = asyncio.create_task(process.stderr.read())
                    address = f"http://127.0.0.1:{told['port']}"
                    break
        else:
            raise Studio9Error("Aries did not start")
        probe = AriesClient(address, service="orion", keys=TokenKeys(keys), retry_s=60)
        await probe.find("sweeps", "probe")
        await probe.close()
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading


async def _tidy(bare: AsyncElasticsearch, prefix: str) -> None:
    """Leaves nothing of the run on a shared server."""
    for place in (await bare.indices.get_settings(index=f"{prefix}*", allow_no_indices=True)).body:
        await bare.indices.delete(index=place)
    for item in (await bare.indices.get_index_template(name=f"{prefix}*")).body["index_templates"]:
        await bare.indices.delete_index_template(name=item["name"])
