"""What the scheduling Orion knows: waiting jobs, jobs on workers, workers. A cache that is read in full at take-over
and now and then, and kept up by messages and a look at what changed in between; nothing is decided by it alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from studio9_common.contracts.job import Job, Phase, Requirements
from studio9_common.times import format_time, parse_time
from studio9_orion.core import attempts
from studio9_orion.jobs import HELD_PHASES
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.model import Share, Shares, candidate, slots_of
from studio9_orion.scheduler.queues import Queues
from studio9_orion.scheduler.rules import Rules
from studio9_orion.workers import Worker

Key = TypeVar("Key")
ENDED_FOR = timedelta(seconds=15)
"""For so long a worker's older beat may still show a job that has left its slot."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job on a worker; `since` is when it was noted."""

    worker: str
    organisation: str
    project: str
    priority_class: str
    needs: Requirements
    since: datetime

    @property
    def share(self) -> Share:
        return self.priority_class, self.organisation


class View:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.queue = Queues()
        self.held: dict[str, Held] = {}
        self.workers: dict[str, Worker] = {}
        self.removed: frozenset[str] = frozenset()
        """Workers that are none any more, whatever a late beat shows."""
        self.touched: set[str] = set()
        """Jobs read in real time since a search began: what the search says of them is older."""
        self._ended: dict[str, tuple[datetime, str]] = {}
        self._busy: dict[str, dict[str, Requirements]] = {}
        self._running: Counter[str] = Counter()
        self._projects: Counter[tuple[str, str]] = Counter()
        self._slots: Counter[Share] = Counter()
        self._places: dict[str, list[Place]] = {}
        self._spent: dict[Share, float] = {}
        self._spent_to: dict[Share, datetime] = {}

    def take(self, jobs: Iterable[Job], now: datetime) -> None:
        """Notes where these jobs are now, as read in real time."""
        for job in jobs:
            self.touched.add(job.id)
            self.note(job, now)

    def note(self, job: Job, now: datetime) -> None:
        """Notes where a job is."""
        if job.phase is Phase.queued:
            self.queue.put(candidate(job))
        else:
            self.queue.pop(job.id)
        if job.phase in HELD_PHASES:
            self._hold(job, now)
            return
        self._release(job.id, now)
        attempt = attempts.current(job)
        if attempt is not None and attempts.reported(attempt):
            self._ended[job.id] = (now, attempt.worker)
            self._places.pop(attempt.worker, None)

    def over(self, job: str, now: datetime) -> None:
        """A job has ended, as its message tells: there is no way back from that."""
        self.touched.add(job)
        self.queue.pop(job)
        held = self.held.get(job)
        if held is not None:
            self._release(job, now)
            self._ended[job] = (now, held.worker)

    def forget(self, job: str, now: datetime) -> None:
        """There is no such job any more, or it is no longer of interest."""
        self.queue.pop(job)
        self._release(job, now)

    def show(self, worker: Worker) -> bool:
        """Notes a worker as a beat shows it; whether what it has to offer changed."""
        before = self.workers.get(worker.id)
        if before is not None and before.last_seen > worker.last_seen:
            return False
        self.workers[worker.id] = worker
        if before is not None and worker.offers(before):
            return False
        self._places.pop(worker.id, None)
        return True

    def doubtful(self, after: timedelta) -> list[str]:
        """Jobs that their worker should show by now and does not: the news of their end may be lost."""
        found = []
        for id, held in self.held.items():
            worker = self.workers.get(held.worker)
            if worker is None or (id not in worker.jobs and parse_time(worker.last_seen) - held.since > after):
                found.append(id)
        return found

    def places(self, now: datetime, lease_s: float) -> list[Place]:
        """The slots of the workers that were seen within one lease and not removed."""
        self._let_go(now)
        since = format_time(now - timedelta(seconds=lease_s))
        found: list[Place] = []
        for id in sorted(self.workers):
            worker = self.workers[id]
            if worker.last_seen < since or id in self.removed:
                continue
            places = self._places.get(id)
            if places is None:
                ended = frozenset(job for job in worker.jobs if job in self._ended)
                places = self._places[id] = worker.places(self._busy.get(id, {}), ended)
            found += places
        return found

    def shares(self, usage: Mapping[Share, float], rules: Rules) -> Shares:
        """What the pass needs to know of organisations."""
        return Shares(
            usage=usage,
            held=self._slots,
            weights=rules.weights,
            weight=rules.weight,
            running=self._running,
            limits=rules.limits,
            limit=rules.limit,
            running_projects=self._projects,
            project_limits=rules.project_limits,
            project_limit=rules.project_limit,
            classes=rules.classes,
        )

    def spent(self, now: datetime) -> dict[Share, float]:
        """The slot-seconds that were held since the last call, by class and organisation."""
        for share in list(self._slots):
            self._spend(share, now)
        found, self._spent = self._spent, {}
        self._spent_to = dict.fromkeys(self._slots, now)
        return found

    def waiting(self) -> dict[str, frozenset[str]]:
        """The organisations that wait, by class."""
        return {name: frozenset(self.queue.organisations(name)) for name in self.queue.classes()}

    def active(self) -> dict[str, frozenset[str]]:
        """The organisations that wait or hold a slot, by class."""
        found = {name: set(organisations) for name, organisations in self.waiting().items()}
        for name, organisation in self._slots:
            found.setdefault(name, set()).add(organisation)
        return {name: frozenset(organisations) for name, organisations in found.items()}

    # --- how -------------------------------------------------------------------------------------------------------

    def _hold(self, job: Job, now: datetime) -> None:
        worker = job.attempts[-1].worker
        known = self.held.get(job.id)
        if known is not None and known.worker == worker:
            return
        self._release(job.id, now)
        held = Held(worker, job.organisation, job.project or "", job.priority_class, job.spec.requirements, now)
        self.held[job.id] = held
        self._busy.setdefault(worker, {})[job.id] = held.needs
        self._count(held, 1, now)
        self._ended.pop(job.id, None)

    def _release(self, id: str, now: datetime) -> None:
        held = self.held.pop(id, None)
        if held is None:
            return
        busy = self._busy[held.worker]
        del busy[id]
        if not busy:
            del self._busy[held.worker]
        self._count(held, -1, now)

    def _count(self, held: Held, by: int, now: datetime) -> None:
        self._spend(held.share, now)
        _add(self._running, held.organisation, by)
        _add(self._projects, (held.organisation, held.project), by)
        _add(self._slots, held.share, by * slots_of(held.needs))
        self._places.pop(held.worker, None)

    def _spend(self, share: Share, now: datetime) -> None:
        """What was held up to now is counted before that changes."""
        passed = (now - self._spent_to.get(share, now)).total_seconds()
        if passed > 0:
            self._spent[share] = self._spent.get(share, 0.0) + self._slots[share] * passed
        self._spent_to[share] = now

    def _let_go(self, now: datetime) -> None:
        """By now every worker's beat shows the slots of what ended long ago as they are."""
        while self._ended:
            id = next(iter(self._ended))
            time, worker = self._ended[id]
            if now - time < ENDED_FOR:
                return
            del self._ended[id]
            self._places.pop(worker, None)


def _add(counter: Counter[Key], key: Key, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
