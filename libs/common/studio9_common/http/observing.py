"""What is seen of every request: its trace, and how long it took. Plain ASGI, the innermost of a service's layers."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio9_common.metrics import Metrics
from studio9_common.tracing import Trace, Tracer, following, trace_of

_QUIET = frozenset({"/health", "/ready", "/metrics"})


class Observing:
    """Follows the caller's trace (`traceparent`), or begins one where `begins` says so, and measures until the answer
    begins: a stream of events lasts as long as somebody listens."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracer: Tracer, begins: bool) -> None:
        self._app, self._tracer, self._begins = app, tracer, begins
        self._seconds = metrics.histogram(
            "studio9_http_request_seconds", "From a request to the beginning of its answer.", ("method", "route")
        )
        self._requests = metrics.counter(
            "studio9_http_requests_total", "Requests by what was answered.", ("method", "route", "status")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                method, route = scope["method"], _route(scope)
                self._seconds.labels(method, route).observe(time.perf_counter() - began)
                self._requests.labels(method, route, str(message["status"])).inc()
            await send(message)

        caller = trace_of(_header(scope))
        try:
            await self._follow(scope, receive, answer, caller)
        except Exception:
            self._requests.labels(scope["method"], _route(scope), "500").inc()
            raise

    async def _follow(self, scope: Scope, receive: Receive, answer: Send, caller: Trace | None) -> None:
        if caller is None and not self._begins:
            await self._app(scope, receive, answer)
        elif not self._begins and not self._tracer.exports:
            with following(caller):
                await self._app(scope, receive, answer)
        else:
            with self._tracer.span(scope["method"], caller, kind="server", path=scope["path"]):
                await self._app(scope, receive, answer)


def _header(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return str(value, "latin-1")
    return None


def _route(scope: Scope) -> str:
    """The route's pattern: few values, whatever is asked for. An app that is mounted within sets its own."""
    route = scope.get("route")
    pattern = getattr(route, "path", None)
    return str(pattern) if pattern else "other"
