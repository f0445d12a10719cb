"""The spans of an attempt's phases on this worker; those of the attempt and the job above it are told by Orion."""

from studio9_common.tracing import Span, nanoseconds, trace_of
from studio9_worker.context import Context
from studio9_worker.records import AttemptPhase, AttemptRecord


class PhaseSpans:
    """Told each phase as it begins. A phase that an earlier agent began counts from when this one took it up: what
    nobody saw is not told."""

    def __init__(self, context: Context, record: AttemptRecord) -> None:
        self._tracer, self._clock = context.tracer, context.clock
        self._above = trace_of(record.traceparent) if context.tracer.exports else None
        self._attributes: dict[str, str | int | float | bool] = {
            "job": record.key.job,
            "fence": record.key.fence,
            "worker": context.worker,
        }
        self._phase: AttemptPhase | None = None
        self._began = 0

    def entered(self, phase: AttemptPhase, failure: str = "") -> None:
        """Ends the span of the phase before, with the code of its `failure` if it had one; `ended` begins none."""
        if self._above is None:
            return
        now = nanoseconds(self._clock.now())
        if self._phase is not None:
            trace, above, told = self._above.child(), self._above.span_id, self._attributes
            self._tracer.record(Span(trace, self._phase, self._began, now, above, attributes=told, error=failure))
        self._phase, self._began = (None if phase == "ended" else phase), now
