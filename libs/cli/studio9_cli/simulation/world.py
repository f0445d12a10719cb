"""One run: the parts put together, the faults let loose, and what came of it."""

import gc
import hashlib
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio9_cli.simulation.broker import Broker
from studio9_cli.simulation.faults import Faults
from studio9_cli.simulation.loop import Node, VirtualLoop
from studio9_cli.simulation.nodes import OrionProcess, Process, WorkerProcess
from studio9_cli.simulation.objects import Bucket
from studio9_cli.simulation.operating import Operator
from studio9_cli.simulation.oracle import Oracle, Problem
from studio9_cli.simulation.people import Requester, Warehouse
from studio9_cli.simulation.plan import HOUR_S, ORIONS, WORKERS, Plan, Wish
from studio9_cli.simulation.store import Database
from studio9_cli.simulation.substitutes import Substitute, replaced, substitutes
from studio9_cli.simulation.timing import settings
from studio9_cli.simulation.troubles import Troubles
from studio9_cli.simulation.weather import Weather
from studio9_common.contracts.job import TERMINAL, Job
from studio9_common.errors import Studio9Error
from studio9_orion.core import Decision, Policy, decide_all
from studio9_orion.core.events import CoreEvent
from studio9_orion.core.table import allowed

SETTLE_LEASES = 15.0
"""How long after the last fault everything may take to end and to be cleaned."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one plan. `digest` is the same for the same plan, whenever and wherever it runs."""

    seed: int
    problems: tuple[Problem, ...]
    pairs: frozenset[tuple[str, str]]
    simulated_s: float
    steps: int
    injected: Mapping[str, int]
    took_effect: Mapping[str, int]
    """Faults by their label: how many there were, and how many met somebody."""
    digest: str
    trace: tuple[str, ...]


class World:
    """See the module's docstring."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop, self.weather = VirtualLoop(), Weather()
        self.trace: list[str] = []
        self.pairs: set[tuple[str, str]] = set()
        self.nodes: list[Node] = []
        self.orion_settings, self.worker_settings = settings(plan.timing)
        rng = random.Random(f"broker:{plan.seed}")
        self.broker = Broker(self.loop, self.weather, rng)
        self.database = Database(self.loop, self.weather, self._on_write)
        self.bucket = Bucket(self.loop, self.weather)
        self.oracle = Oracle(self)
        self.requester, self.warehouse = Requester(self), Warehouse(self)
        self.operator = Operator(self)
        self.workers = {name: WorkerProcess(self, name, *slots) for name, slots in WORKERS.items()}
        self.orions = {name: OrionProcess(self, name) for name in ORIONS}
        self.processes: dict[str, Process] = {
            **self.orions,
            **self.workers,
            "baile": self.requester,
            "pegasus": self.warehouse,
            "operator": self.operator,
        }
        self._wishes = {wish.id: wish for wish in plan.wishes}
        self._jobs = self.database.table("jobs").documents
        self.troubles = Troubles(plan.faults, plan.timing.lease_s)
        self.faults = Faults(self)

    # --- running ---------------------------------------------------------------------------------------------------

    def run(self, changes: Sequence[Substitute] = ()) -> Run:
        """Runs the plan to its end. `changes` are substitutes beyond the usual ones."""
        usual = substitutes(self.plan.seed, self.plan.timing, self.on_exception, self._missing, self._decide_all)
        collecting = gc.isenabled()
        gc.disable()
        gc.freeze()  # what was there before need not be looked at when the run is swept up
        try:
            with replaced([*usual, *changes]):
                self._run()
                self.oracle.judge()
        finally:
            self._bury()
            gc.unfreeze()
            if collecting:
                gc.enable()
        digest = hashlib.sha256("\n".join(self.trace).encode()).hexdigest()
        return Run(
            self.plan.seed,
            tuple(self.oracle.problems),
            frozenset(self.pairs),
            self.loop.now,
            self.loop.steps,
            dict(self.faults.injected),
            dict(self.faults.took_effect),
            digest,
            tuple(self.trace),
        )

    def _run(self) -> None:
        for process in self.processes.values():
            process.start()
        for fault in self.plan.faults:
            self.loop.after(fault.at, self.faults.begin, fault)
            self.loop.after(fault.at + fault.lasts, self.faults.end, fault)
        self.loop.after(self.plan.timing.look_s, self.oracle.look)
        last = max((fault.at + fault.lasts for fault in self.plan.faults), default=0.0)
        wished = max((max(wish.at, wish.cancel_at or 0.0) for wish in self.plan.wishes), default=0.0)
        done = max((duty.at + duty.lasts for duty in self.plan.duties), default=0.0)
        start = max(last, wished, done) + 1.0
        self.loop.run_to(start)
        end = max(self.plan.until, start) + SETTLE_LEASES * self.plan.timing.lease_s
        self.loop.run_to(HOUR_S)
        while self.loop.now < end and not self.oracle.settled():
            self.loop.run_to(self.loop.now + self.plan.timing.look_s)

    def _bury(self) -> None:
        """Lets go of everything that was left in mid-step, without a word."""
        self.loop.closing = True
        silent, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # what a paused process never began
                for node in self.nodes:
                    node.dead = True
                    node.held.clear()
                    node.tasks.clear()
                self.loop.clear()
                self.processes.clear()
                self.nodes.clear()
                gc.collect()
        finally:
            sys.unraisablehook = silent

    # --- what the parts tell and ask -------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.loop.now:9.3f} {text}")

    def name_of(self, job: str) -> str:
        return self.plan.names.get(job) or self.oracle.rounds.name_of(job) or job

    def wish(self, id: str) -> Wish:
        """What somebody wanted of a job."""
        return self._wishes.get(id) or self.oracle.rounds.wishes[id]

    def wishes(self) -> tuple[Wish, ...]:
        """All that is wanted: what somebody asked for, and what tasks did."""
        return (*self.plan.wishes, *self.asked_for())

    def asked_for(self) -> tuple[Wish, ...]:
        """The children that tasks have asked for."""
        return tuple(self.oracle.rounds.wishes.values())

    def job(self, id: str) -> Job | None:
        """A job as it is in the store."""
        document = self._jobs.get(id)
        return document.body["job"] if document is not None else None

    def on_exception(self, where: str, error: BaseException) -> None:
        """An exception that a loop did not expect; what the faults themselves raise is none."""
        if (
            not self.loop.closing
            and not isinstance(error, Studio9Error | OSError)
            and type(error).__module__ != "sqlite3"
        ):
            self.oracle.problem("broken", f"{where}: {error!r}")

    def _missing(self, job: str, key: str) -> None:
        found = self.job(job)
        if found is not None and found.state in TERMINAL:
            return  # an order that comes too late: what it goes on from may be gone with the end
        self.oracle.problem("lost", f"what it goes on from is not there: {key}", job)

    def _on_write(self, collection: str, id: str, before: Any, after: Any) -> None:
        if collection != "jobs":
            return
        old: Job | None = before["job"] if before else None
        new: Job = after["job"]
        last = new.events[-1]
        self.note(f"{self.name_of(id)} {new.phase} fence {new.fence} {last.n}:{last.type} out {len(new.outbox)}")
        self.oracle.written(old, new)

    def _decide_all(
        self, job: Job | None, events: Sequence[CoreEvent], now: datetime, policy: Policy
    ) -> list[Decision]:
        """The core, watched."""
        decisions: list[Decision] = decide_all(job, events, now, policy)
        for event, decision in zip(events, decisions, strict=True):
            phase = job.phase if job is not None else None
            self.pairs.add((str(phase), event.name))
            job = decision.job
            if job is not None and job.phase is not phase and job.phase not in allowed(phase, event.name):
                self.oracle.problem("broken", f"{event.name} led from {phase} to {job.phase}", job.id)
        return decisions
