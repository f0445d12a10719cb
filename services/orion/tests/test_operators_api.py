"""What operators see and do: a job's logs and last beat, workers and their draining, dead letters, metrics, traces."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from studio9_common.bus.port import Queue
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Exit, Spec
from studio9_common.contracts.messages import (
    AttemptBeat,
    JobRequested,
    Slot,
    TelemetryItem,
    WorkerBeat,
    WorkerDrain,
    WorkerTelemetry,
)
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_common.times import format_time
from studio9_common.tokens import Caller
from studio9_common.tracing import Span, Tracer, new_trace, trace_of
from studio9_orion.app import OrionService, build
from studio9_orion.core.events import Assigned, Requested, ResultReceived, Tick
from studio9_orion.traces import attempt_trace, job_trace


@pytest.fixture
def spans() -> list[Span]:
    return []


@pytest.fixture
def orion(world: Any, spans: list[Span]) -> OrionService:
    class Kept:
        def take(self, span: Span) -> None:
            spans.append(span)

    return build(
        world.settings,
        bus=world.bus,
        store=world.store,
        objects=world.objects,
        keys=world.keys,
        clock=world.clock,
        tracer=Tracer(Kept()),
    )


class Operator:
    """Calls the API as an operator of one organisation, or of all."""

    def __init__(self, http: httpx.AsyncClient, keys: Any, organisation: str) -> None:
        self._http, self._keys, self._organisation = http, keys, organisation

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        token = self._keys.sign(Caller("operator", self._organisation), "orion")
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return await self._http.request(method, path, headers=headers, **options)


@pytest.fixture
async def http(orion: OrionService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as client:
        yield client


@pytest.fixture
def operator(http: httpx.AsyncClient, world: Any) -> Operator:
    return Operator(http, world.keys, "system")


@pytest.fixture
def acme(http: httpx.AsyncClient, world: Any) -> Operator:
    return Operator(http, world.keys, "acme")


async def a_job(orion: OrionService, organisation: str = "acme", **changes: Any) -> str:
    id = new_id()
    spec = Spec(kind="train")
    event = Requested(job=id, organisation=organisation, owner="ana", spec=spec, request_hash="h", **changes)
    await orion.shell.apply([(id, event)])
    return id


async def a_running_job(world: Any, orion: OrionService) -> str:
    """On w1, whose queue exists."""
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    id = await a_job(orion)
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    await orion.supervisor.take_beats([a_beat(id)])
    return id


def a_beat(job: str, **changes: Any) -> WorkerBeat:
    attempt = AttemptBeat(
        job=job, organisation="acme", fence=1, sequence=1, phase="running", progress=0.25, epoch=2, epochs=8
    )
    given: dict[str, Any] = {
        "worker": "w1", "instance": "i", "sequence": 1, "slots": (Slot(id="cpu-0", job=job), Slot(id="cpu-1")),
        "attempts": (attempt,),
    }  # fmt: skip
    return WorkerBeat(**(given | changes))


async def test_a_job_shows_its_last_beat_and_its_log_lines(
    world: Any, orion: OrionService, operator: Operator, acme: Operator
) -> None:
    id = await a_running_job(world, orion)
    shown = (await acme("GET", f"/v1/jobs/{id}")).json()
    assert (shown["heard"]["worker"], shown["heard"]["progress"]) == ("w1", 0.25)
    assert shown["heard"]["detail"]["epochs"] == 8
    for sequence in range(3):
        items = tuple(
            TelemetryItem(kind=kind, time=format_time(world.clock.now()), level="info", message=f"{kind} {sequence}")
            for kind in ("log", "metric")
        )
        batch = WorkerTelemetry(worker="w1", job=id, organisation="acme", fence=1, sequence=sequence, items=items)
        await world.send(batch)
    await deliver_telemetry(world, orion)
    found = (await acme("GET", f"/v1/jobs/{id}/logs", params={"lines": 2})).json()["items"]
    assert [line["message"] for line in found] == ["log 1", "log 2"]
    other = await a_job(orion, "other")
    assert (await acme("GET", f"/v1/jobs/{other}/logs")).status_code == 404
    assert (await operator("GET", f"/v1/jobs/{other}/logs")).json() == {"items": []}


async def deliver_telemetry(world: Any, orion: OrionService) -> None:
    async with world.bus.consume("orion.telemetry.v1") as consumer:
        deliveries = await consumer.get(10, 10)
        await orion.telemetry.handle(deliveries)
        for delivery in deliveries:
            await delivery.ack()


async def test_without_telemetry_the_end_of_the_attempt_has_its_last_lines(
    world: Any, orion: OrionService, acme: Operator
) -> None:
    id = await a_running_job(world, orion)
    failed = ResultReceived(
        worker="w1", organisation="acme", fence=1, outcome="failed", reason=reason("task_failed"),
        exit=Exit(code=1, peak_memory=1 << 30, log_tail=("one", "two")),
    )  # fmt: skip
    await orion.shell.apply([(id, failed)])
    found = (await acme("GET", f"/v1/jobs/{id}/logs", params={"fence": 1})).json()["items"]
    assert [line["message"] for line in found] == ["one", "two"]


async def test_workers_are_shown_with_their_jobs_and_told_to_drain(
    world: Any, orion: OrionService, operator: Operator, acme: Operator
) -> None:
    id = await a_running_job(world, orion)
    await world.bus.delete("worker.w1.v1")
    assert (await operator("POST", "/v1/workers/w1/drain")).json()["type"] == "urn:studio9:problem:worker_away"
    queue = await world.listen("drained", "worker.drain.w1")
    assert (await operator("POST", "/v1/workers/w1/drain")).status_code == 202
    assert (await operator("POST", "/v1/workers/w1/resume")).status_code == 202
    orders = await world.take(queue)
    assert [type(one) for one in orders] == [WorkerDrain, WorkerDrain]
    assert [one.draining for one in orders] == [True, False]
    assert (await operator("POST", "/v1/workers/none/drain")).status_code == 404
    assert (await acme("GET", "/v1/workers")).json()["type"] == "urn:studio9:problem:platform_only"

    async def state() -> str:
        return str((await operator("GET", "/v1/workers/w1")).json()["state"])

    shown = (await operator("GET", "/v1/workers/w1")).json()
    assert shown["jobs"] == [{"id": id, "organisation": "acme", "kind": "train", "phase": "running"}]
    await orion.supervisor.take_beats([a_beat(id, sequence=2, draining=True)])
    assert await state() == "draining"
    await orion.supervisor.take_beats([a_beat(id, sequence=3, draining=True, slots=(Slot(id="cpu-0"),), attempts=())])
    assert await state() == "drained"
    world.clock.pass_(60)
    assert await state() == "away"
    (listed,) = (await operator("GET", "/v1/workers")).json()["items"]
    assert (listed["id"], listed["state"]) == ("w1", "away")


async def test_a_draining_worker_gets_no_job(world: Any, orion: OrionService, operator: Operator) -> None:
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    free = (Slot(id="cpu-0"),)
    await orion.supervisor.take_beats([a_beat("x", draining=True, slots=free, attempts=())])
    id = await a_job(orion)
    await orion.scheduler.tick()
    assert not (await world.job(id)).attempts
    await orion.supervisor.take_beats([a_beat("x", sequence=2, slots=free, attempts=())])
    await orion.scheduler.tick()
    assert (await world.job(id)).attempts[-1].worker == "w1"


async def a_dead_letter(world: Any, organisation: str, job: str, queue: str = "pegasus.jobs.v1") -> None:
    await world.bus.declare(Queue(queue, ("job.requested",)))
    wanted = JobRequested(job=job, owner="ana", spec=Spec(kind="train"))
    await world.bus.publish(encode(wanted, source="test", organisation=organisation, id=f"m-{job}"))
    async with world.bus.consume(queue) as consumer:
        for delivery in await consumer.get(10, 10):
            await delivery.dead_letter("ValueError: it cannot be")


async def test_dead_letters_are_read_replayed_and_dropped(world: Any, operator: Operator, acme: Operator) -> None:
    mine, other = new_id(), new_id()
    await a_dead_letter(world, "acme", mine)
    await a_dead_letter(world, "other", other)
    for _ in range(2):
        found = (await operator("GET", "/v1/dead-letters", params={"queue": "pegasus.jobs.v1"})).json()
        assert [(one["job"], one["reason"]) for one in found["items"]] == [
            (mine, "ValueError: it cannot be"),
            (other, "ValueError: it cannot be"),
        ]
    assert (await operator("GET", "/v1/dead-letters", params={"queue": "none"})).json() == {"items": [], "total": 0}
    (own,) = (await acme("GET", "/v1/dead-letters")).json()["items"]
    assert (own["job"], own["organisation"], own["type"]) == (mine, "acme", JobRequested.type)
    foreign = found["items"][1]["id"]
    for method in ("GET", "DELETE"):
        assert (await acme(method, f"/v1/dead-letters/{quote(foreign, safe='')}")).status_code == 404
    shown = (await acme("GET", f"/v1/dead-letters/{own['id']}")).json()
    assert shown["body"]["data"]["job"] == mine and shown["died_at"].endswith("Z")

    assert (await acme("POST", f"/v1/dead-letters/{own['id']}/replay")).json()["message_id"] == f"m-{mine}"
    assert (await acme("POST", f"/v1/dead-letters/{own['id']}/replay")).status_code == 404
    async with world.bus.consume("pegasus.jobs.v1") as consumer:
        (again,) = await consumer.get(1, 10)
        assert (again.message_id, decode(again.body).data.job) == (f"m-{mine}", mine)  # type: ignore[attr-defined]
        await again.ack()
    await world.bus.delete("pegasus.jobs.v1")
    kept = await operator("POST", f"/v1/dead-letters/{foreign}/replay")
    assert (kept.status_code, kept.json()["type"]) == (409, "urn:studio9:problem:no_queue")
    assert (await operator("DELETE", f"/v1/dead-letters/{foreign}")).json()["queue"] == "pegasus.jobs.v1"
    assert (await operator("GET", "/v1/dead-letters")).json()["total"] == 0


async def test_metrics_tell_queues_retries_losses_and_sweeps(
    world: Any, orion: OrionService, http: httpx.AsyncClient
) -> None:
    id = await a_running_job(world, orion)
    waiting = await a_job(orion)
    failed = ResultReceived(
        worker="w1", organisation="acme", fence=1, outcome="failed", reason=reason("staging_error"), exit=Exit()
    )
    await orion.shell.apply([(id, failed)])
    gone = await a_job(orion)
    await orion.shell.apply([(gone, Assigned(worker="w1"))])
    swept = await orion.sweeper.sweep()
    orion._tickers[0]._ticked("deadlines", 0.01, swept, True)
    world.clock.pass_(30)
    values: dict[str, float] = {}
    for family in text_string_to_metric_families((await http.get("/metrics")).text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            values[f"{sample.name}{{{labels}}}"] = sample.value
            assert not {id, waiting, gone, "acme"} & set(sample.labels.values()), "labels have few values"
    assert values["studio9_retries_total{reason=staging_error}"] == 1
    assert values["studio9_scheduling_seconds_count{}"] == 2
    assert values["studio9_starting_seconds_count{}"] == 1
    assert values["studio9_jobs{phase=queued}"] == 1 and values["studio9_jobs{phase=backing_off}"] == 1
    assert values["studio9_queue_age_seconds{}"] >= 30
    assert values["studio9_workers{state=away}"] == 1
    assert values["studio9_beats_total{}"] == 1
    assert values["studio9_sweep_seconds_count{sweep=deadlines}"] == 1
    assert values["studio9_sweep_last_finished_timestamp_seconds{sweep=deadlines}"] > 0
    assert values["studio9_bus_published_total{message=worker.run,outcome=confirmed}"] == 2


async def test_a_lost_worker_is_counted(world: Any, orion: OrionService, http: httpx.AsyncClient) -> None:
    id = await a_running_job(world, orion)
    world.clock.pass_(60)
    await orion.shell.apply([(id, Tick(fence=1, heard_until=None))])
    assert (await world.job(id)).attempts[0].outcome == "lost"
    text = (await http.get("/metrics")).text
    assert "studio9_lease_losses_total 1.0" in text
    assert 'studio9_retries_total{reason="worker_lost"} 1.0' in text


async def test_a_trace_goes_from_the_request_into_every_message_and_span(
    world: Any, orion: OrionService, spans: list[Span]
) -> None:
    trace = new_trace()
    run = Queue("worker.w1.v1", ("worker.*.w1",))
    await world.bus.declare(run)
    told = await world.listen("told", "job.*")
    id = new_id()
    wanted = JobRequested(job=id, owner="ana", spec=Spec(kind="train"))
    await orion.dispatcher.take(
        [decode(encode(wanted, source="baile", organisation="acme", traceparent=trace.traceparent).body)]
    )
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    result = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded", exit=Exit(code=0))
    await orion.shell.apply([(id, result)])
    job = await world.job(id)
    assert trace_of(job.traceparent) == trace
    seen = []
    for queue in (told, run):
        async with world.bus.consume(queue.name) as consumer:
            for delivery in await consumer.get(50, 10):
                envelope = decode(delivery.body)
                seen.append((envelope.data.routing_key, trace_of(envelope.traceparent)))
                await delivery.ack()
    by_key = dict(seen)
    assert {"job.accepted", "job.queued", "worker.run", "job.completed"} <= set(by_key)
    assert by_key["worker.run"] == attempt_trace(job, 1) and by_key["job.completed"] == job_trace(job)
    assert {found.trace_id for found in by_key.values() if found} == {trace.trace_id}
    assert [(span.name, span.parent) for span in spans] == [
        ("job train", trace.span_id),
        ("attempt 1", spans[0].trace.span_id),
    ]
    assert spans[1].attributes["worker"] == "w1" and spans[0].end >= spans[0].start


async def test_a_job_that_nobody_traced_gets_the_trace_of_its_id(world: Any, orion: OrionService) -> None:
    id = new_id()
    wanted = JobRequested(job=id, owner="ana", spec=Spec(kind="train"))
    for traceparent in (None, "nonsense"):
        await orion.dispatcher.take(
            [decode(encode(wanted, source="taurus", organisation="acme", traceparent=traceparent).body)]
        )
    trace = trace_of((await world.job(id)).traceparent)
    assert trace is not None and trace.trace_id == id.replace("-", "")
