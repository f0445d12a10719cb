"""Spans to an OpenTelemetry collector: OTLP over HTTP in JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp).

Off unless a service's setting `otlp_url` names a collector; nothing is sent anywhere else. Spans are a help, never a
duty: they are sent in batches, and those that a slow or absent collector does not take are dropped and counted.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from studio9_common.logs import logger
from studio9_common.tasks import end
from studio9_common.tracing import Span, Tracer

EVERY_S = 2.0
BATCH = 512
KEPT = 4_096
"""Spans that wait for the collector; more push out the oldest."""
TIMEOUT_S = 5.0
_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


class OtlpExporter:
    """See the module's docstring. `run` sends until it is cancelled; `flush` sends what is left."""

    def __init__(self, url: str, service: str, installation: str) -> None:
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S)
        self._url = url.rstrip("/") + "/v1/traces"
        self._resource = _attributes({"service.name": f"studio9-{service}", "service.namespace": installation})
        self._waiting: deque[Span] = deque(maxlen=KEPT)
        self._log = logger(service)
        self.dropped = 0
        """Spans that nobody took."""

    def take(self, span: Span) -> None:
        if len(self._waiting) == KEPT:
            self.dropped += 1
        self._waiting.append(span)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Sends what waits; a batch that is not taken is dropped."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                (await self._http.post(self._url, json=self._body(batch))).raise_for_status()
            except httpx.HTTPError as error:
                self.dropped += len(batch)
                self._log.warning("spans_dropped", spans=len(batch), reason=type(error).__name__)
                return
            except asyncio.CancelledError:  # the service stops: whoever closes sends them, twice rather than never
                self._waiting.extendleft(reversed(batch))
                raise

    async def close(self) -> None:
        await self._http.aclose()

    def _body(self, spans: list[Span]) -> dict[str, Any]:
        scope = {"scope": {"name": "studio9"}, "spans": [_span(span) for span in spans]}
        return {"resourceSpans": [{"resource": {"attributes": self._resource}, "scopeSpans": [scope]}]}


@asynccontextmanager
async def open_tracer(url: str, service: str, installation: str) -> AsyncIterator[Tracer]:
    """A tracer that exports to the collector at `url` while the block lasts; "": one that exports nothing."""
    if not url:
        yield Tracer()
        return
    exporter = OtlpExporter(url, service, installation)
    sending = asyncio.create_task(exporter.run(), name="otlp")
    try:
        yield Tracer(exporter)
    finally:
        await end(sending)
        await exporter.flush()
        await exporter.close()


def _span(span: Span) -> dict[str, Any]:
    body: dict[str, Any] = {
        "traceId": span.trace.trace_id,
        "spanId": span.trace.span_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
    }
    if span.parent:
        body["parentSpanId"] = span.parent
    if span.error:
        body["status"] = {"code": 2, "message": span.error}
    return body


def _attributes(given: Mapping[str, str | int | float | bool]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in given.items()]


def _value(value: str | int | float | bool) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
    return {"stringValue": value}
