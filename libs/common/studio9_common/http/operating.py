"""What every service answers to those who run it, without a token, on the listener that only the inside reaches:

    GET /health     200 while its event loop turns and its main tasks run; 503 names those that have ended
    GET /ready      200 while what it needs is there; 503 names what is not; with the state of each, and since when
    GET /metrics    Prometheus' text format

Baile's own listener is the public one: its metrics get a port of their own (`STUDIO9_BAILE_METRICS_PORT`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response

from studio9_common.health import Liveness, Readiness
from studio9_common.metrics import CONTENT_TYPE, Metrics
from studio9_common.tasks import end

LAG_EVERY_S = 0.5


def operating_routes(
    service: str, alive: Liveness, readiness: Readiness, metrics: Metrics, served: Metrics | None
) -> APIRouter:
    """The routes above; `/metrics` only where `served` says what. The dependencies' state is among the metrics, as it
    was when somebody last asked for it."""
    routes = APIRouter(include_in_schema=False)
    metrics.read_gauge(
        "studio9_dependency_up",
        "Whether a dependency answered when it was last asked.",
        ("dependency",),
        lambda: [((one.name,), float(one.up)) for one in readiness.last],
    )

    @routes.get("/health")
    async def health() -> JSONResponse:
        ended = alive.ended()
        if ended:
            detail = f"main tasks have ended: {', '.join(ended)}"
            return _problem("not_alive", detail, {"service": service, "ended": ended})
        return JSONResponse({"service": service, "status": "alive"})

    @routes.get("/ready")
    async def ready() -> JSONResponse:
        found = await readiness.look()
        dependencies = [one.body() for one in found]
        missing = [one for one in found if one.needed and not one.up]
        if missing:
            detail = "; ".join(f"{one.name}: {one.detail}" for one in missing)
            return _problem("not_ready", detail, {"service": service, "dependencies": dependencies})
        return JSONResponse({"service": service, "status": "ready", "dependencies": dependencies})

    if served is not None:
        routes.add_api_route("/metrics", _scrape(served), methods=["GET"])
    return routes


def metrics_app(metrics: Metrics) -> FastAPI:
    """`/metrics` alone, for a listener of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/metrics", _scrape(metrics), methods=["GET"])
    return app


@asynccontextmanager
async def loop_lag(metrics: Metrics) -> AsyncIterator[None]:
    """While the block lasts, how much later than asked for the event loop comes back is a metric."""
    lag = metrics.histogram("studio9_event_loop_lag_seconds", "How much later than asked for the event loop came back.")

    async def measure() -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(LAG_EVERY_S)
            lag.observe(max(0.0, loop.time() - began - LAG_EVERY_S))

    measuring = asyncio.create_task(measure(), name="loop-lag")
    try:
        yield
    finally:
        await end(measuring)


def _scrape(metrics: Metrics) -> Any:
    async def scrape() -> Response:
        return Response(await metrics.render(), media_type=CONTENT_TYPE)

    return scrape


def _problem(code: str, detail: str, more: dict[str, Any]) -> JSONResponse:
    body = {"type": f"urn:studio9:problem:{code}", "title": code.replace("_", " "), "status": 503, "detail": detail}
    return JSONResponse({**body, **more}, 503, {"Retry-After": "2"}, "application/problem+json")
