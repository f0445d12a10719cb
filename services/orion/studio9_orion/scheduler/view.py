"""What the scheduling Orion knows: waiting jobs, jobs on workers, workers. A cache that is read anew at every tick and
at take-over, and kept up to date by messages in between; nothing is decided by it alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from studio9_common.contracts.job import Job, Phase
from studio9_common.times import format_time
from studio9_orion.core import attempts
from studio9_orion.jobs import HELD_PHASES
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.model import Candidate, Shares, candidate
from studio9_orion.workers import Worker

ENDED_FOR = timedelta(seconds=15)
"""For so long a worker's older beat may still show a job that has left its slot."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job on a worker."""

    worker: str
    organisation: str
    project: str


@dataclass(slots=True)
class View:
    """See the module's docstring."""

    queue: dict[str, Candidate] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)

    def take(self, jobs: Iterable[Job], now: datetime) -> None:
        """Notes where these jobs are now, as read in real time."""
        for job in jobs:
            self.queue.pop(job.id, None)
            self.held.pop(job.id, None)
            if job.phase is Phase.queued:
                self.queue[job.id] = candidate(job)
            if job.phase in HELD_PHASES:
                last = job.attempts[-1]
                self.held[job.id] = Held(last.worker, job.organisation, job.project or "")
                self.ended.pop(job.id, None)
            elif attempts.reported(attempts.current(job)):
                self.ended[job.id] = now

    def replace(self, queued: Iterable[Job], held: Iterable[Job], workers: Iterable[Worker], now: datetime) -> None:
        """Begins anew from what the store holds."""
        self.queue.clear()
        self.held.clear()
        self.ended = {id: time for id, time in self.ended.items() if now - time < ENDED_FOR}
        self.workers = {worker.id: worker for worker in workers}
        for job in (*queued, *held):
            self.take([job], now)

    def places(self, now: datetime, lease_s: float) -> list[Place]:
        """The slots of the workers that were seen within one lease."""
        since = format_time(now - timedelta(seconds=lease_s))
        ended = frozenset(id for id, time in self.ended.items() if now - time < ENDED_FOR)
        busy: dict[str, list[str]] = {}
        for id, held in self.held.items():
            busy.setdefault(held.worker, []).append(id)
        return [
            place
            for worker in sorted(self.workers.values(), key=lambda worker: worker.id)
            if worker.last_seen >= since
            for place in worker.places(busy.get(worker.id, ()), ended)
        ]

    def shares(self, usage: Mapping[str, float], weights: Mapping[str, float], limit: int | None) -> Shares:
        """What the pass needs to know of organisations; `limit` is that of each."""
        running = Counter(held.organisation for held in self.held.values())
        names = {one.organisation for one in self.queue.values()} | set(running)
        return Shares(
            usage=usage,
            weights=weights,
            running=running,
            limits=dict.fromkeys(names, limit) if limit is not None else {},
            running_projects=Counter((held.organisation, held.project) for held in self.held.values()),
        )

    def running(self) -> Mapping[str, int]:
        """Jobs that hold a slot, by organisation."""
        return Counter(held.organisation for held in self.held.values())
