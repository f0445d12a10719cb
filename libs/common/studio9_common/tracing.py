"""One trace follows a job through every service: W3C Trace Context (https://www.w3.org/TR/trace-context/).

A trace begins with a request to Baile, or is the caller's own. Its `traceparent` goes with every call between services
and in every message's envelope, is kept in the job's document and with the worker's attempt, and its id stands in each
log line (`trace_id`). Spans leave the process only where an exporter is set (`studio9_common.tracing_otlp`).
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from structlog.contextvars import bound_contextvars

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_CURRENT: ContextVar["Trace | None"] = ContextVar("studio9_trace", default=None)
LONGEST = 128
"""Characters of a `traceparent` that is looked at."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: the trace (32 hex digits) and the span (16) that what follows belongs to."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """As a header or an envelope carries it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> "Trace":
        """A new span below this one."""
        return Trace(self.trace_id, os.urandom(8).hex(), self.sampled)


def new_trace() -> Trace:
    return Trace(os.urandom(16).hex(), os.urandom(8).hex())


def trace_for(identifier: str) -> Trace:
    """The trace of a job that nobody asked for within one: from its own id, a UUIDv7, so always the same."""
    digits = identifier.replace("-", "")
    return Trace(digits, digits[-16:])


def trace_of(traceparent: str | None) -> Trace | None:
    """The place that a `traceparent` names; None for none, and for one that is not valid (it is ignored, as the
    standard says)."""
    if not traceparent or len(traceparent) > LONGEST:
        return None
    found = _PARENT.fullmatch(traceparent)
    if found is None or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
        return None
    return Trace(found[1], found[2], bool(int(found[3], 16) & 1))


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace alone."""
    trace = trace_of(traceparent)
    return trace.trace_id if trace else None


def nanoseconds(moment: datetime) -> int:
    """Since 1970, as the times of a span are."""
    return int(moment.timestamp() * 1_000_000) * 1_000


def current_trace() -> Trace | None:
    """The trace of the request or message that is being handled here."""
    return _CURRENT.get()


def current_traceparent() -> str | None:
    trace = _CURRENT.get()
    return trace.traceparent if trace else None


@contextmanager
def following(trace: Trace | None) -> Iterator[None]:
    """Within the block this is the current trace, and log lines carry its id. None changes nothing."""
    if trace is None:
        yield
        return
    token = _CURRENT.set(trace)
    try:
        with bound_contextvars(trace_id=trace.trace_id):
            yield
    finally:
        _CURRENT.reset(token)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took a time, for an exporter. Times are nanoseconds since 1970; `parent` is a span's id."""

    trace: Trace
    name: str
    start: int
    end: int
    parent: str = ""
    kind: str = "internal"
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    error: str = ""


class Exporter(Protocol):
    """Takes spans; never blocks and never raises."""

    def take(self, span: Span) -> None: ...


class Tracer:
    """Makes spans. Without an exporter they are only places in the trace."""

    def __init__(self, exporter: Exporter | None = None) -> None:
        self._exporter = exporter

    @property
    def exports(self) -> bool:
        """Whether anybody wants spans."""
        return self._exporter is not None

    @contextmanager
    def span(
        self, name: str, parent: Trace | None, *, kind: str = "internal", **attributes: str | int | float | bool
    ) -> Iterator[Trace]:
        """A span around a block, below `parent` or the first of a new trace; the current one within the block."""
        trace = parent.child() if parent else new_trace()
        began = time.time_ns()
        error = ""
        try:
            with following(trace):
                yield trace
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            parent_id = parent.span_id if parent else ""
            self.record(Span(trace, name, began, time.time_ns(), parent_id, kind, attributes, error))

    @contextmanager
    def handling(self, name: str, traceparent: str | None, **attributes: str | int | float | bool) -> Iterator[None]:
        """Around what is done about a message: its trace is followed, in a span of its own where anybody wants one."""
        sender = trace_of(traceparent)
        if sender is None or self._exporter is None:
            with following(sender):
                yield
        else:
            with self.span(name, sender, kind="consumer", **attributes):
                yield

    def record(self, span: Span) -> None:
        """A span that is known afterwards."""
        if self._exporter is not None and span.trace.sampled:
            self._exporter.take(span)
