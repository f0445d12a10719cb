"""Where a job and its attempts stand in the trace that its request began. The spans' ids follow from job and fence, so
that every Orion, and whoever has the document, names the same ones; they are told when they are over.
"""

import hashlib

from studio9_common.contracts.job import TERMINAL, Attempt, Job
from studio9_common.times import parse_time
from studio9_common.tracing import Span, Trace, Tracer, nanoseconds, trace_of


def job_trace(job: Job) -> Trace | None:
    """The job's own place, below whoever asked for it; None for a job without a trace."""
    asked = trace_of(job.traceparent)
    return Trace(asked.trace_id, _span_id(job.id), asked.sampled) if asked else None


def attempt_trace(job: Job, fence: int) -> Trace | None:
    """The place of one attempt, below the job's."""
    asked = trace_of(job.traceparent)
    return Trace(asked.trace_id, _span_id(f"{job.id}:{fence}"), asked.sampled) if asked else None


def traceparent_of(trace: Trace | None) -> str | None:
    return trace.traceparent if trace else None


class JobTraces:
    """An Observer: records the spans of a job and of its attempts once it has ended."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def stepped(self, job: Job, after: int) -> None:
        if self._tracer.exports and any(event.n > after and event.type in _ENDS for event in job.events):
            self._record(job)

    def ticked(self, name: str, seconds: float, result: object, done: bool) -> None:
        return

    def _record(self, job: Job) -> None:
        trace, asked = job_trace(job), trace_of(job.traceparent)
        if trace is None or asked is None or job.ended_at is None:
            return
        failed = job.reason.code if job.reason and job.state not in ("completed", "cancelled") else ""
        attributes = {"job": job.id, "organisation": job.organisation, "state": job.state.value}
        begin, end = _moment(job.created_at), _moment(job.ended_at)
        self._tracer.record(
            Span(trace, f"job {job.spec.kind}", begin, end, asked.span_id, "consumer", attributes, failed)
        )
        for attempt in job.attempts:
            self._attempt(job, attempt, trace)

    def _attempt(self, job: Job, attempt: Attempt, above: Trace) -> None:
        trace = attempt_trace(job, attempt.fence)
        end = attempt.ended_at or job.ended_at
        if trace is None or end is None:
            return
        failed = attempt.reason.code if attempt.reason and attempt.outcome != "succeeded" else ""
        attributes: dict[str, str | int | float | bool] = {
            "job": job.id,
            "attempt": attempt.number,
            "fence": attempt.fence,
            "worker": attempt.worker,
            "outcome": attempt.outcome or "unknown",
        }
        begin = _moment(attempt.assigned_at)
        name = f"attempt {attempt.number}"
        self._tracer.record(Span(trace, name, begin, _moment(end), above.span_id, "producer", attributes, failed))


_ENDS = frozenset({*(state.value for state in TERMINAL), "cancelled_unseen"})


def _span_id(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:16]


def _moment(time: str) -> int:
    return nanoseconds(parse_time(time))
