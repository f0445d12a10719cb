"""Baile with the real Orion and the real Aries beside it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from studio9_aries.app import build as build_aries
from studio9_aries.settings import AriesSettings
from studio9_baile.jobs.streams import StreamFinder
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.messages import JobCancel, JobRequested, TelemetryItem, WorkerTelemetry
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import following, new_trace, trace_of
from studio9_orion.app import build as build_orion
from studio9_orion.settings import OrionSettings


@pytest.fixture
async def platform(installation: Any, ana: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """The installation with the other two beside it; ana is signed in."""
    keys = TokenKeys(installation.settings.user_keys.get_secret_value())
    documents = await SqliteDocuments.open(tmp_path / "aries.sqlite")
    aries = build_aries(AriesSettings(), documents=documents, keys=keys)
    await aries.start()
    await installation.stop()
    installation.stand_ins.aries = aries.asgi
    await installation.start()
    store = AriesClient(aries.asgi, service="orion", keys=keys, retry_s=0.2)
    settings = OrionSettings(tick_s=0.2)
    orion = build_orion(settings, bus=installation.bus, store=store, objects=installation.objects, keys=keys)
    await orion.start()
    ana.http = installation.http()
    yield installation
    await orion.stop()
    await store.close()
    await aries.stop()
    await documents.close()


async def test_a_job_is_accepted_watched_and_cancelled(platform: Any, ana: Any, asked: Any, until: Any) -> None:
    process = await asked(ana)

    async def accepted() -> Any:
        answer = await ana.ok("GET", f"/v1/jobs/{process.id}")
        return answer if answer.get("state") == "queued" else None

    events = [event["type"] for event in (await until(accepted))["events"]]
    assert events == ["requested", "queued"]
    item = TelemetryItem(kind="metric", time="2026-11-21T10:00:00.000000Z", key="map50", value=0.5, step=1, split="val")
    for sequence in (0, 1):
        batch = WorkerTelemetry(
            worker="w", job=process.id, organisation=process.organisation, fence=1, sequence=sequence, items=(item,)
        )
        await platform.bus.publish(encode(batch, source="worker", organisation=process.organisation))

    async def measured() -> Any:
        found = await ana.ok("GET", f"/v1/jobs/{process.id}/metrics")
        return found if len(found) == 2 else None

    assert (await until(measured))[0] == {
        "key": "map50", "step": 1, "split": "val", "value": 0.5, "time": "2026-11-21T10:00:00.000000Z"
    }  # fmt: skip
    await ana.ok("POST", f"/processes/{process.id}/cancel")

    async def cancelled() -> bool:
        return bool((await ana.ok("GET", f"/processes/{process.id}"))["status"] == "CANCELLED")

    await until(cancelled)
    await StreamFinder(platform.baile.core).step()  # the search is understood; nothing is of a stream
    async with platform.baile.core.database.read(process.organisation) as work:
        assert not await work.outbox.count(work.outbox.row.settled_at.is_(None))


async def test_a_trace_goes_with_the_request_and_comes_back_with_the_end(
    platform: Any, ana: Any, asked: Any, until: Any
) -> None:
    trace = new_trace()
    with following(trace):
        process = await asked(ana)

    async def accepted() -> Any:
        answer = await ana.ok("GET", f"/v1/jobs/{process.id}")
        return answer if answer.get("state") == "queued" else None

    await until(accepted)
    (stored,) = await platform.baile.core.aries.get_jobs([process.id])
    assert trace_of(stored[0].traceparent) == trace
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await ana.ok("POST", f"/processes/{process.id}/cancel")

        async def cancelled() -> bool:
            return bool((await ana.ok("GET", f"/processes/{process.id}"))["status"] == "CANCELLED")

        await until(cancelled)
    heard = next(line for line in logs if line["event"] == "job_end_heard")
    assert (heard["trace_id"], heard["job"]) == (trace.trace_id, process.id)
    async with platform.baile.core.database.read(process.organisation) as work:
        rows = await work.outbox.all(work.outbox.row.job == process.id)
    traces = {row.type: trace_of(decode(row.body).traceparent) for row in rows}
    assert traces[JobRequested.type] == trace
    cancel = traces[JobCancel.type]
    assert cancel is not None and cancel.trace_id != trace.trace_id, "a request without a trace begins one"
