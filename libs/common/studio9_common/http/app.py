"""A service's FastAPI app: problem details (RFC 9457) for every error, health, and the check of service tokens."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from studio9_common.errors import Studio9Error, Unauthenticated
from studio9_common.logs import logger
from studio9_common.tokens import Caller, TokenKeys

Check = Callable[[], Awaitable[None]]
PROBLEM = "application/problem+json"
QUIET_S = 10.0


def create_app(
    service: str, *, keys: TokenKeys | None = None, checks: Mapping[str, Check] | None = None, **options: Any
) -> FastAPI:
    """An app with `/health/live`, `/health/ready` (runs `checks`, each a coroutine that raises) and error handling."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(title=f"Studio9 {service}", lifespan=lifespan, **options)
    app.state.service = service
    app.state.keys = keys
    log = logger(service)
    failures = _Failures(log)

    @app.exception_handler(Studio9Error)
    async def known(_: Request, error: Studio9Error) -> JSONResponse:
        if error.status >= 500:
            failures.note(error)
        headers = {"Retry-After": "2"} if error.status == 503 else None
        return JSONResponse(error.problem(), error.status, headers, PROBLEM)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        body = {
            "type": "urn:studio9:problem:bad_input",
            "title": "bad input",
            "status": 422,
            "detail": f"{field}: {first['msg']}",
            "field": field,
        }
        return JSONResponse(body, 422, None, PROBLEM)

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        body = {"type": "about:blank", "title": str(error.detail), "status": error.status_code}
        return JSONResponse(body, error.status_code, error.headers, PROBLEM)

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", exc_info=error)
        return JSONResponse(Studio9Error().problem(), 500, None, PROBLEM)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"service": service, "status": "live"}

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        problems: dict[str, str] = {}
        for name, check in (checks or {}).items():
            try:
                await check()
            except Exception as error:
                problems[name] = str(error) or type(error).__name__
        body = {"service": service, "status": "unready" if problems else "ready", "problems": problems}
        return JSONResponse(body, 503 if problems else 200)

    return app


class _Failures:
    """Writes down that requests fail: while a store is away every caller asks again and again, so each kind of failure
    has a line at most every QUIET_S, with how many there were since the last."""

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
        self._log.warning("request_failed", code=error.code, message=error.message, left_out=left_out)


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
