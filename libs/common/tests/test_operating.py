"""What every service answers to those who run it: health, readiness, metrics; and the traces of requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request
from prometheus_client.parser import text_string_to_metric_families
from structlog.contextvars import get_contextvars

from studio9_common import tracing_otlp
from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Outgoing, Queue, Unroutable
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.errors import Unavailable
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.http.client import ServiceClient
from studio9_common.http.operating import loop_lag, metrics_app
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Span, Tracer, current_trace, following, new_trace, trace_of
from studio9_common.tracing_otlp import open_tracer

Scraped = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def scraped(text: str) -> Scraped:
    """Every sample by name and labels; refuses what Prometheus would."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


async def test_ready_names_each_dependency_with_its_state_and_since_when() -> None:
    down: set[str] = set()

    def check(name: str) -> Any:
        async def ask() -> None:
            if name in down:
                raise Unavailable(f"{name} is away")

        return ask

    app = create_app("orion", checks={"bus": check("bus")}, optional={"objects": check("objects")})
    async with client_of(app) as client:
        first = (await client.get("/ready")).json()
        assert first["status"] == "ready"
        down |= {"objects"}
        without = await client.get("/ready")
        states = {one["name"]: one for one in without.json()["dependencies"]}
        assert (without.status_code, states["objects"]["state"], states["objects"]["needed"]) == (200, "down", False)
        assert states["bus"] == first["dependencies"][0]
        down |= {"bus"}
        broken = await client.get("/ready")
        assert broken.status_code == 503
        assert broken.headers["content-type"] == "application/problem+json"
        assert broken.json()["detail"] == "bus: bus is away"
        again = (await client.get("/ready")).json()["dependencies"]
        assert again == broken.json()["dependencies"], "it is down since it was first seen to be"
        assert (await client.get("/health")).json() == {"service": "orion", "status": "alive"}
        values = scraped((await client.get("/metrics")).text)
        assert values["studio9_dependency_up", (("dependency", "bus"),)] == 0.0


async def test_a_dependency_that_never_answers_is_down(monkeypatch: Any) -> None:
    monkeypatch.setattr("studio9_common.health.CHECK_S", 0.05)
    async with client_of(create_app("orion", checks={"store": asyncio.Event().wait})) as client:  # type: ignore[dict-item]
        answers = await asyncio.gather(*(client.get("/ready") for _ in range(3)))
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].json()["detail"] == "store: no answer within 0.05 s"


async def test_health_says_which_main_task_has_ended() -> None:
    alive, ended = Liveness(), list[str]()
    alive.watch(lambda: ended)
    async with client_of(create_app("orion", alive=alive)) as client:
        assert (await client.get("/health")).status_code == 200
        ended.append("orion.beats.v1")
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["ended"]) == (503, ["orion.beats.v1"])


async def test_a_subscriber_that_ends_by_itself_is_seen(tmp_path: Any) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.sqlite")
    subscriber = Subscriber(bus, Queue("t.v1", ("t.*",)), each(lambda delivery: delivery.ack()))
    await subscriber.start()
    seen = [subscriber.ended]
    task = subscriber._task
    assert task is not None
    task.cancel()
    await asyncio.wait([task])
    seen.append(subscriber.ended)
    await subscriber.stop()
    assert [*seen, subscriber.ended] == [False, True, False]
    await bus.close()


async def test_requests_are_measured_by_route_never_by_path() -> None:
    metrics = Metrics()
    app = create_app("orion", metrics=metrics)

    @app.get("/v1/jobs/{id}")
    async def job(id: str) -> str:
        if id == "bad":
            raise RuntimeError("a bug")
        return id

    async with client_of(app) as client, loop_lag(metrics):
        for path in ("/v1/jobs/1", "/v1/jobs/2", "/v1/jobs/bad", "/nowhere/3", "/health"):
            await client.get(path)
        values = scraped((await client.get("/metrics")).text)
    name, route = "studio9_http_requests_total", ("route", "/v1/jobs/{id}")
    assert values[name, (("method", "GET"), route, ("status", "200"))] == 2
    assert values[name, (("method", "GET"), route, ("status", "500"))] == 1
    assert values[name, (("method", "GET"), ("route", "other"), ("status", "404"))] == 1
    assert values["studio9_http_request_seconds_count", (("method", "GET"), route)] == 2
    assert not [key for key in values if "/health" in str(key)]


async def test_metrics_can_have_a_listener_of_their_own() -> None:
    metrics = Metrics()
    async with client_of(create_app("baile", metrics=metrics, serves_metrics=False)) as public:
        assert (await public.get("/metrics")).status_code == 404
    async with client_of(metrics_app(metrics)) as inside:
        assert "studio9_http_request_seconds" in (await inside.get("/metrics")).text
        assert (await inside.get("/ready")).status_code == 404


async def test_a_scrape_does_without_what_cannot_be_asked() -> None:
    metrics = Metrics()

    async def away() -> None:
        raise Unavailable("the store is away")

    metrics.refresh(away)
    metrics.gauge("studio9_test_gauge", "Something.").set(3)
    assert scraped((await metrics.render()).decode())["studio9_test_gauge", ()] == 3


async def test_a_measured_bus_is_a_bus_and_counts(tmp_path: Any) -> None:
    metrics = Metrics()
    bus = MeasuredBus(await EmbeddedBus.open(tmp_path / "bus.sqlite"), metrics)
    queue = Queue("worker.w1.v1", ("worker.run.w1",))
    handled = asyncio.Event()

    async def handle(_: object) -> None:
        handled.set()

    subscriber = Subscriber(bus, queue, each(handle))
    measure_queues(metrics, lambda: [subscriber])
    await subscriber.start()
    await bus.publish(Outgoing("worker.run.w1", b"{}", "m1"))
    try:
        await bus.publish(Outgoing("worker.run.w2", b"{}", "m2"))
    except Unroutable:
        pass
    else:
        raise AssertionError("nobody takes this message")
    await handled.wait()
    await subscriber.stop()
    values = scraped((await metrics.render()).decode())
    name = "studio9_bus_published_total"
    assert values[name, (("message", "worker.run"), ("outcome", "confirmed"))] == 1
    assert values[name, (("message", "worker.run"), ("outcome", "unroutable"))] == 1
    assert values["studio9_bus_deliveries_total", (("outcome", "handled"), ("queue", "worker"))] == 1
    assert values["studio9_bus_confirm_seconds_count", ()] == 2
    await bus.close()


def test_a_traceparent_is_read_as_the_standard_says() -> None:
    valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    trace = trace_of(valid)
    assert trace is not None and trace.traceparent == valid
    assert trace.child().trace_id == trace.trace_id and trace.child().span_id != trace.span_id
    later = trace_of("cc" + valid[2:] + "-what-comes-later")
    assert later is not None and later.trace_id == trace.trace_id
    for bad in (
        None,
        "",
        "00",
        "ff" + valid[2:],
        valid.upper(),
        valid.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
    ):
        assert trace_of(bad) is None
    assert trace_of(valid[:-2] + "00").sampled is False  # type: ignore[union-attr]


async def test_a_trace_goes_with_calls_between_services_and_into_the_logs() -> None:
    keys = TokenKeys(TokenKeys.generate())
    seen: list[tuple[str | None, Any]] = []

    def service(name: str, **options: Any) -> FastAPI:
        app = create_app(name, keys=keys, **options)

        @app.get("/v1/look")
        async def look(request: Request) -> None:
            trace = current_trace()
            seen.append((trace.trace_id if trace else None, get_contextvars().get("trace_id")))
            if name == "baile":
                await behind.request("GET", "/v1/look")

        return app

    spans: list[Span] = []

    class Kept:
        def take(self, span: Span) -> None:
            spans.append(span)

    behind = ServiceClient(service("aries"), audience="aries", service="baile", keys=keys)
    async with client_of(service("baile", begins_traces=True, tracer=Tracer(Kept()))) as client:
        await client.get("/v1/look")
        mine = new_trace()
        await client.get("/v1/look", headers={"traceparent": mine.traceparent})
    async with client_of(service("argo")) as client:
        await client.get("/v1/look")
    await behind.close()
    assert len({trace for trace, _ in seen[:2]}) == 1 and seen[0][0] is not None
    assert [trace for trace, _ in seen[2:4]] == [mine.trace_id] * 2
    assert seen[4] == (None, None), "only Baile begins traces"
    assert all(trace == logged for trace, logged in seen)
    assert [(span.name, span.attributes["path"], span.kind, span.parent) for span in spans] == [
        ("GET", "/v1/look", "server", ""),
        ("GET", "/v1/look", "server", mine.span_id),
    ]
    assert current_trace() is None


async def test_spans_go_to_a_collector_and_only_there() -> None:
    from studio9_common.service import HttpServer

    taken: list[dict[str, Any]] = []
    collector = FastAPI()

    @collector.post("/v1/traces")
    async def traces(request: Request) -> dict[str, Any]:
        taken.append(json.loads(await request.body()))
        return {}

    server = HttpServer("127.0.0.1", 0)
    await server.start(collector)
    async with open_tracer(f"http://127.0.0.1:{server.port}", "orion", "lab") as tracer:
        with tracer.span("job", new_trace(), kind="consumer", attempt=2, kind_of_job="train") as trace:
            assert tracer.exports
    await server.stop()
    (resource,) = taken[0]["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (span["name"], span["kind"], span["traceId"]) == ("job", 5, trace.trace_id)
    assert {"key": "attempt", "value": {"intValue": "2"}} in span["attributes"]
    assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])
    assert resource["resource"]["attributes"][0]["value"] == {"stringValue": "studio9-orion"}
    async with open_tracer("", "orion", "lab") as silent:
        assert not silent.exports


async def test_spans_that_were_on_their_way_when_a_service_stops_are_sent_again(monkeypatch: Any) -> None:
    from studio9_common.service import HttpServer

    monkeypatch.setattr(tracing_otlp, "EVERY_S", 0.01)
    taken: list[bytes] = []
    asked, goes_on = asyncio.Event(), asyncio.Event()
    collector = FastAPI()

    @collector.post("/v1/traces")
    async def traces(request: Request) -> dict[str, Any]:
        if not asked.is_set():
            asked.set()
            await goes_on.wait()  # of this request nothing is kept
            return {}
        taken.append(await request.body())
        return {}

    server = HttpServer("127.0.0.1", 0)
    await server.start(collector)
    async with open_tracer(f"http://127.0.0.1:{server.port}", "orion", "lab") as tracer:
        with tracer.span("job", new_trace()):
            pass
        await asked.wait()
    goes_on.set()
    await server.stop()
    (sent,) = taken
    assert b'"job"' in sent


def test_a_message_is_handled_in_the_trace_of_its_sender() -> None:
    spans: list[Span] = []

    class Kept:
        def take(self, span: Span) -> None:
            spans.append(span)

    sender = new_trace()
    with Tracer().handling("job.completed", sender.traceparent):
        assert current_trace() == sender, "without an exporter there is no span to be in"
    tracer = Tracer(Kept())
    for none in (None, "nonsense"):
        with tracer.handling("job.completed", none):
            assert current_trace() is None
    with tracer.handling("job.completed", sender.traceparent, job="j1"):
        within = current_trace()
    (span,) = spans
    assert span.trace == within and span.trace.trace_id == sender.trace_id
    assert (span.name, span.kind, span.parent, span.attributes) == (
        "job.completed", "consumer", sender.span_id, {"job": "j1"}
    )  # fmt: skip


def test_following_nothing_keeps_the_trace() -> None:
    trace = new_trace()
    with following(trace), following(None):
        assert current_trace() == trace
    assert current_trace() is None
