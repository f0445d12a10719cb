"""A service's FastAPI app: problem details (RFC 9457) for every error, and the check of service tokens.

`/health`, `/ready` and `/metrics` are the same in every service: see `http/operating.py`.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from studio9_common.errors import BadInput, StorageFull, Studio9Error, Unauthenticated, no_room
from studio9_common.health import Check, Liveness, Readiness
from studio9_common.http.observing import Observing
from studio9_common.http.operating import loop_lag, operating_routes
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.tokens import Caller, TokenKeys
from studio9_common.tracing import Tracer

PROBLEM = "application/problem+json"
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own: requests are followed and counted here (`observing`), and once."""
QUIET_S = 10.0
CAUSE_LENGTH = 300
_SECRET = re.compile("password|token|secret", re.IGNORECASE)


def create_app(
    service: str,
    *,
    keys: TokenKeys | None = None,
    checks: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    alive: Liveness | None = None,
    metrics: Metrics | None = None,
    tracer: Tracer | None = None,
    begins_traces: bool = False,
    serves_metrics: bool = True,
    **options: Any,
) -> FastAPI:
    """An app with error handling, `/health`, `/ready` and, unless it is `serves_metrics`=False, `/metrics`.

    `checks` are what the service depends on, each a coroutine that raises; it works on without the `optional` ones.
    `begins_traces`: a request without a trace gets a new one.
    """
    metrics = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with loop_lag(metrics):
            yield

    app = FastAPI(title=f"Studio9 {service}", lifespan=lifespan, telemetry=NO_TELEMETRY, **options)
    app.state.service = service
    app.state.keys = keys
    app.state.metrics = metrics
    app.add_middleware(Observing, metrics=metrics, tracer=tracer or Tracer(), begins=begins_traces)
    log = logger(service)
    failures = Failures(log)

    @app.exception_handler(Studio9Error)
    async def known(_: Request, error: Studio9Error) -> JSONResponse:
        if error.status >= 500:
            failures.note(error)
        headers = {"Retry-After": str(error.wait_s)} if error.status in (429, 503) else None
        return JSONResponse(error.problem(), error.status, headers, PROBLEM)

    @app.exception_handler(OSError)
    async def full(request: Request, error: OSError) -> JSONResponse:
        if not no_room(error):
            raise error
        return await known(request, StorageFull())

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        refusal = _bad_input(error.errors()[0])
        return JSONResponse(refusal.problem(), refusal.status, None, PROBLEM)

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        body = {"type": "about:blank", "title": str(error.detail), "status": error.status_code}
        return JSONResponse(body, error.status_code, error.headers, PROBLEM)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        """The caller hung up while it sent its body: no failure of ours, and nobody reads the answer."""
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", exc_info=error)
        return JSONResponse(Studio9Error().problem(), 500, None, PROBLEM)

    readiness = Readiness(checks or {}, optional=optional)
    served = metrics if serves_metrics else None
    app.include_router(operating_routes(service, alive or Liveness(), readiness, metrics, served))
    return app


def _bad_input(finding: Mapping[str, Any]) -> BadInput:
    """What pydantic has found, as any other bad input. A value that may be a secret is not shown."""
    field = ".".join(str(part) for part in finding["loc"] if part not in ("body", "query", "path", "header")) or "body"
    fix = str(finding["msg"]).removeprefix("Value error, ")
    value = finding.get("input")
    if not isinstance(value, (bool, int, float, str)) or _SECRET.search(field):
        value = None
    return BadInput(f"{field}: {fix}", field=field, value=value, fix=fix)


class Failures:
    """Writes down that requests fail: while a store is away every caller asks again and again, so each kind of failure
    has a line at most every QUIET_S, with how many there were since the last, and what the store said."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._quiet: dict[str, tuple[float, int]] = {}

    def note(self, error: Studio9Error) -> None:
        now = time.monotonic()
        since, left_out = self._quiet.get(error.code, (float("-inf"), 0))
        if now - since < QUIET_S:
            self._quiet[error.code] = (since, left_out + 1)
            return
        self._quiet[error.code] = (now, 0)
        # The first line alone: what a database appends has the request's values in it.
        cause = str(error.__cause__ or "").partition("\n")[0][:CAUSE_LENGTH]
        self._log.warning("request_failed", code=error.code, message=error.message, cause=cause, left_out=left_out)


async def caller_of(request: Request) -> Caller:
    """The caller by its service token (`Authorization: Bearer …`). Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    keys = request.app.state.keys
    if scheme.lower() != "bearer" or not token or keys is None:
        raise Unauthenticated
    checked: Caller = keys.check(token, request.app.state.service)
    return checked


ServiceCaller = Annotated[Caller, Depends(caller_of)]
"""Annotate a route's parameter with this to require a valid service token."""
