"""Orion's metrics. What this Orion did is counted as it happens; what stands in the store (jobs by phase, the oldest in
the queue, workers) is read when somebody scrapes, so every Orion tells the same of it: take the maximum, not the sum.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from studio9_common.contracts.collections import JOBS, WORKERS
from studio9_common.contracts.job import TERMINAL, Event, Job, Phase, State
from studio9_common.contracts.reasons import RULES, Reason
from studio9_common.documents.port import Where
from studio9_common.metrics import SLOW, Metrics, Sample
from studio9_common.times import Clock, parse_time
from studio9_orion.jobs import Jobs
from studio9_orion.store import find
from studio9_orion.worker_state import shown_state

OPEN_PHASES = tuple(phase for phase in Phase if phase is not Phase.clean)
AGAIN = frozenset({"lost", "attempt_failed"})
BACK = frozenset({"refused", "unroutable"})


@runtime_checkable
class Counting(Protocol):
    """A store that counts; Aries' client does."""

    async def count(self, collection: str, where: Where = ...) -> int: ...


class OrionMetrics:
    """See the module's docstring. An Observer."""

    def __init__(self, metrics: Metrics, jobs: Jobs, clock: Clock, lease_s: float) -> None:
        self._jobs, self._clock, self._lease_s = jobs, clock, lease_s
        self._waited = metrics.histogram(
            "studio9_scheduling_seconds", "From queued (again) to assigned to a worker.", buckets=SLOW
        )
        self._started = metrics.histogram(
            "studio9_starting_seconds", "From assigned to a task that runs: dispatch, staging, launch.", buckets=SLOW
        )
        self._retries = metrics.counter(
            "studio9_retries_total", "Attempts that failed and led to another one, by reason.", ("reason",)
        )
        self._returned = metrics.counter(
            "studio9_returned_total", "Assignments that came back without an attempt, by reason.", ("reason",)
        )
        self._lost = metrics.counter("studio9_lease_losses_total", "Attempts lost with a worker that fell silent.")
        self._ended = metrics.counter(
            "studio9_jobs_ended_total", "Jobs that ended, by state and reason.", ("state", "reason")
        )
        self._ticks = metrics.histogram(
            "studio9_sweep_seconds", "How long a sweep took: deadlines, schedule (a pass), orphans.", ("sweep",)
        )
        self._last = metrics.gauge(
            "studio9_sweep_last_finished_timestamp_seconds", "When this Orion last finished a sweep.", ("sweep",)
        )
        self._failed = metrics.counter("studio9_sweep_failures_total", "Sweeps that broke off.", ("sweep",))
        self._swept = metrics.counter(
            "studio9_sweep_jobs_total", "What deadline sweeps found due, changed and published again.", ("what",)
        )
        self._phases: dict[Phase, int] = {}
        self._oldest: float | None = None
        self._workers: Counter[str] = Counter()
        self._slots: Counter[tuple[str, str]] = Counter()
        metrics.read_gauge("studio9_jobs", "Jobs that are not clean yet, by phase.", ("phase",), self._read_phases)
        metrics.read_gauge(
            "studio9_queue_age_seconds", "How long the oldest queued job has waited.", (), self._read_oldest
        )
        metrics.read_gauge(
            "studio9_workers",
            "Workers by state.",
            ("state",),
            lambda: [((state,), count) for state, count in self._workers.items()],
        )
        metrics.read_gauge(
            "studio9_slots",
            "Slots of workers that are here.",
            ("kind", "use"),
            lambda: [(key, count) for key, count in self._slots.items()],
        )
        metrics.refresh(self._refresh)

    # --- as it happens -----------------------------------------------------------------------------------------------

    def stepped(self, job: Job, after: int) -> None:
        for event in job.events:
            if event.n > after:
                self._step(job, event)

    def _step(self, job: Job, event: Event) -> None:
        reason = _reason(event.reason)
        if event.type == "assigned" and job.queued_at is not None:
            self._waited.observe(_seconds(job.queued_at, event.time))
        elif event.type == "running" and job.attempts:
            self._started.observe(_seconds(job.attempts[-1].assigned_at, event.time))
        elif event.type in AGAIN:
            self._retries.labels(reason).inc()
        elif event.type in BACK:
            self._returned.labels(reason).inc()
        if event.type == "lost" or (event.state in TERMINAL and reason == "workers_lost"):
            self._lost.inc()
        if event.type in _ENDS:
            self._ended.labels(event.state.value, reason).inc()

    def ticked(self, name: str, seconds: float, result: object, done: bool) -> None:
        if not done:
            self._failed.labels(name).inc()
            return
        self._ticks.labels(name).observe(seconds)
        self._last.labels(name).set(self._clock.now().timestamp())
        if name == "deadlines" and is_dataclass(result) and not isinstance(result, type):
            for what, count in asdict(result).items():
                if not isinstance(count, bool):
                    self._swept.labels(what).inc(count)

    # --- from the store ----------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Raises Unavailable while the store is away; what it told before is not told again."""
        self._phases, self._oldest = {}, None
        self._workers, self._slots = Counter(), Counter()
        store = self._jobs.store
        if isinstance(store, Counting):
            counts = await asyncio.gather(
                *(store.count(JOBS.name, Where(equals={"phase": phase.value})) for phase in OPEN_PHASES)
            )
            self._phases = dict(zip(OPEN_PHASES, counts, strict=True))
        page = await store.search(JOBS.name, Where(equals={"phase": Phase.queued.value}), sort=("queued_at",), limit=1)
        now = self._clock.now()
        self._oldest = max((_age(item.body.get("queued_at"), now) for item in page.items), default=0.0)
        async for item in find(store, WORKERS.name, Where()):
            state = shown_state(item.body, now, self._lease_s)
            self._workers[state] += 1
            if state != "away":
                for slot in item.body.get("slots", ()):
                    self._slots[slot.get("kind", "cpu"), "busy" if slot.get("job") else "free"] += 1

    def _read_phases(self) -> Iterable[Sample]:
        return [((phase.value,), count) for phase, count in self._phases.items()]

    def _read_oldest(self) -> Iterable[Sample]:
        return [] if self._oldest is None else [((), self._oldest)]


_ENDS = frozenset({State.completed.value, State.failed.value, State.cancelled.value, "cancelled_unseen"})


def _reason(reason: Reason | None) -> str:
    """A task may report codes of its own: they are no label."""
    if reason is None:
        return "none"
    return reason.code if reason.code in RULES else f"other_{reason.class_.value}"


def _seconds(start: str, end: str) -> float:
    return max(0.0, (parse_time(end) - parse_time(start)).total_seconds())


def _age(time: str | None, now: datetime) -> float:
    return max(0.0, (now - parse_time(time)).total_seconds()) if time else 0.0
