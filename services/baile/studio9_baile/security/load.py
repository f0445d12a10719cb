"""Keeps one caller, or all together, from asking for more at once than can be answered: the rest is told when to come
again, at once and cheaply."""

import time
from collections.abc import Callable

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from studio9_common.errors import Studio9Error
from studio9_common.http.app import PROBLEM

FREE = ("/health", "/ready", "/metrics", "/v1/events")
"""Never refused here: operators' questions, and streams, which have a limit of their own."""
FORGET_S = 60.0


class TooBusy(Studio9Error):
    """Too many requests at once; wait as long as Retry-After says and send it again."""

    status = 429
    code = "too_busy"
    wait_s = 1


class _Caller:
    """One token's (or address's) requests: how many are open, and what is left of its allowance."""

    __slots__ = ("at", "left", "open")

    def __init__(self, left: float, at: float) -> None:
        self.open, self.left, self.at = 0, left, at


class LimitLoad:
    """At most `at_once` open requests of all callers and `at_once_each` of one; one caller may send `each_s` requests a
    second for long, and ten times as many in one go."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        at_once: int,
        at_once_each: int,
        each_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._clock = app, clock
        self._at_once, self._at_once_each, self._each_s = at_once, at_once_each, each_s
        self._callers: dict[bytes, _Caller] = {}
        self._open = 0
        self._cleared = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(FREE):
            await self._app(scope, receive, send)
            return
        now = self._clock()
        caller = self._caller(scope, now)
        caller.left = min(self._each_s * 10, caller.left + (now - caller.at) * self._each_s)
        caller.at = now
        if self._open >= self._at_once or caller.open >= self._at_once_each or caller.left < 1:
            await _refusal(scope["path"])(scope, receive, send)
            return
        caller.left -= 1
        caller.open += 1
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            caller.open -= 1
            self._open -= 1

    def _caller(self, scope: Scope, now: float) -> _Caller:
        if now - self._cleared > FORGET_S:
            self._cleared = now
            idle = [key for key, one in self._callers.items() if not one.open and now - one.at > FORGET_S]
            for key in idle:
                del self._callers[key]
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        key = token or (scope.get("client") or ("",))[0].encode()
        return self._callers.setdefault(key, _Caller(self._each_s * 10, now))


def _refusal(path: str) -> Response:
    error = TooBusy()
    headers = {"Retry-After": str(error.wait_s)}
    if path.startswith("/v1"):
        return JSONResponse(error.problem(), error.status, headers, PROBLEM)
    return JSONResponse({"code": error.status, "message": error.message, "errors": []}, error.status, headers)
