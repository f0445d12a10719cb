"""The shell around the core: load with version, decide, write back by compare-and-set together with the outbox, publish
with confirms. Whoever calls it acknowledges its message after that.

A conflict means that somebody else wrote first: read again, decide again. What could not be published stays in the
outbox and is published by a sweep; clearing the outbox is a later bulk write that nobody waits for, or comes with the
job's next change.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from studio9_common.bus.port import Unroutable as UnroutableError
from studio9_common.contracts.job import TERMINAL, Command, Job, ObjectRef, State, changed
from studio9_common.contracts.messages import JobClean, JobRequested, WorkerRun
from studio9_common.contracts.reasons import Reason
from studio9_common.errors import Conflict, Studio9Error, TooLarge
from studio9_common.logs import logger
from studio9_common.times import Clock
from studio9_common.tracing import trace_id_of
from studio9_orion.core import Decision, Policy, decide_all
from studio9_orion.core.decision import CheckRelated, Reply, TellRelated
from studio9_orion.core.events import ChildEnded, CoreEvent, DeadLettered, RelatedSeen, Requested, Unroutable
from studio9_orion.gatherer import Gatherer
from studio9_orion.jobs import Jobs, Versioned
from studio9_orion.observing import Observer, Unobserved
from studio9_orion.providers.port import Order
from studio9_orion.sender import Sender

ROUNDS = 50
"""Rounds of reading and deciding again after conflicts; each round somebody else got on."""
CLEAR_AFTER_S = 4.0
"""How long a published command may wait for the job's next change to take it out of the outbox; before a sweep
elsewhere takes it for forgotten (`sweeper.OUTBOX_AGE_S`)."""
TELL_AFTER_S, TELL_EVERY_S = 0.05, 0.5
"""How long jobs that have ended wait for others, so that one search finds the relatives of all: the first of them, and
those that follow."""
LOOK_AGAIN_S, LOOK_EVERY_S = 2.5, 2.0
"""A search shows what was written about a second before: who asked for a dependent just before the end is found by
looking again."""
TOGETHER = 500
"""Ended jobs of one search for relatives."""
KEPT = frozenset({JobClean.type, JobRequested.type})
"""Commands that are sent again until somebody takes them."""
TOLD = 5_000
"""Ended jobs that are remembered as having been told of."""

Told = tuple[str, CoreEvent]


class Ended(NamedTuple):
    """What relatives need to know of a job that has ended."""

    job: str
    organisation: str
    parent: str | None
    state: State
    reason: Reason | None = None
    manifest: ObjectRef | None = None

    @classmethod
    def of(cls, job: Job) -> "Ended":
        if job.parent is None:
            return cls(job.id, job.organisation, None, job.state)
        manifest = job.result.manifest if job.result and job.state is State.completed else None
        return cls(job.id, job.organisation, job.parent, job.state, job.reason, manifest)

    @property
    def told(self) -> ChildEnded:
        """What a parent hears of it."""
        return ChildEnded(
            child=self.job,
            organisation=self.organisation,
            state=self.state,
            reason=self.reason,
            manifest=self.manifest,
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """One decision per event, and every job as it was after the last one."""

    decisions: list[Decision]
    jobs: Mapping[str, Job] = field(default_factory=dict)


@dataclass(slots=True)
class _Round:
    """What one round of deciding came to."""

    writes: list[tuple[Job, str | None]] = field(default_factory=list)
    indices: list[list[int]] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    """The number of each job's last life-cycle event before."""


class Shell:
    """See the module's docstring. Any number of them may run at once, on the same store."""

    def __init__(
        self, jobs: Jobs, sender: Sender, clock: Clock, policy: Policy, observer: Observer | None = None
    ) -> None:
        self._observer = observer or Unobserved()
        self.jobs = jobs
        self.clock = clock
        self.policy = policy
        self._sender = sender
        self._watch: Callable[[Job], None] = _unwatched
        self._keep: Callable[[Order], bool] = _unkept
        self._holds: Callable[[Order], bool] = _unkept
        self._sent: dict[str, set[int]] = {}
        self._told: OrderedDict[Ended, None] = OrderedDict()
        self._clearing: Gatherer[str] = Gatherer("outbox", self._clear, pause_s=CLEAR_AFTER_S)
        self._telling: Gatherer[Ended] = Gatherer(
            "related", self.tell_related, pause_s=TELL_AFTER_S, every_s=TELL_EVERY_S, most=TOGETHER
        )
        self._looking: Gatherer[str] = Gatherer(
            "relatives", self._look_again, pause_s=LOOK_AGAIN_S, every_s=LOOK_EVERY_S, most=TOGETHER
        )
        self.log = logger("orion")

    def watch(self, on_written: Callable[[Job], None]) -> None:
        """From now on every job that took a step is told, as soon as that is durable and before anything is published.
        Whoever listens may not fail."""
        self._watch = on_written

    def keep(self, take: Callable[[Order], bool], holds: Callable[[Order], bool] | None = None) -> None:
        """From now on orders that `take` says yes to are carried out here, before anybody else needs to be told: they
        stay in the outbox until the core hears that they are, or until a sweep takes them for forgotten. Those that
        `holds` says yes to are not forgotten: they wait here for their turn."""
        self._keep, self._holds = take, holds or _unkept

    def start(self) -> None:
        self._clearing.start()
        self._telling.start()
        self._looking.start()

    async def stop(self) -> None:
        await self._telling.stop()
        await self._looking.stop()
        await self._clearing.stop()

    async def apply(self, told: Sequence[Told], *, now: datetime | None = None) -> Applied:
        """Applies events to jobs, durably, in order per job. `now` is the clock's unless a sweep brings its own.

        Raises Unavailable while the store is away (what was written is found by the next reader) and Conflict if others
        were quicker ROUNDS times.
        """
        if not told:
            return Applied([])
        decisions: list[Decision] = [Decision(None)] * len(told)
        jobs: dict[str, Job] = {}
        orders: list[Order] = []
        pending = list(range(len(told)))
        guessed, loaded = self._guess(told)
        for _ in range(ROUNDS):
            ids = dict.fromkeys(told[index][0] for index in pending)
            loaded |= await self.jobs.load_many(id for id in ids if id not in guessed)
            round_ = self._decide(told, pending, loaded, now or self.clock.now(), decisions, jobs)
            saved = await self.jobs.save_many(round_.writes)
            # A guess that came to nothing may have been wrong; one that was written was right.
            pending = [index for index in round_.unchanged if told[index][0] in guessed]
            guessed, loaded = set(), {}
            for (job, _), indices, n, done in zip(round_.writes, round_.indices, round_.told, saved, strict=True):
                if done:
                    self._note(job, n)
                    orders += self._written(job, [decisions[index] for index in indices])
                else:
                    pending += indices
            if not pending:
                break
        else:
            raise Conflict("this job is changed too often at the same moment; try again")
        orders += [
            Order(decision.job, effect.command)
            for decision in decisions
            for effect in decision.effects
            if isinstance(effect, Reply) and decision.job is not None
        ]
        await self._publish([order for order in orders if not self._keep(order)])
        await self._follow(decisions)
        return Applied(decisions, jobs)

    async def republish(self, ids: Iterable[str], before: str) -> int:
        """Publishes what has waited in outboxes since before a time; returns how many commands."""
        loaded = await self.jobs.load_many(ids)
        orders = [
            Order(found.job, command)
            for found in loaded.values()
            for command in self._unsent(found.job).outbox
            if command.created_at < before
        ]
        orders = [order for order in orders if not self._holds(order)]
        await self._publish(orders)
        for id in loaded:
            if self._sent.get(id):
                self._clearing.add(id)
        return len(orders)

    async def check_related(self, jobs: Iterable[Job]) -> None:
        """Reads the parents, dependencies and awaited children of jobs and tells the core; another organisation's are
        not there. A child that has ended is told as its own end is: whoever cleaned up after it may not have told."""
        waiting = {job.id: job for job in jobs}
        names = {job.id: _relatives(job) for job in waiting.values()}
        found = await self.jobs.load_many(name for several in names.values() for name in several)
        told: list[Told] = []
        for id, job in waiting.items():
            seen = {name: found[name].job for name in names[id] if name in found}
            mine = {name: other.state for name, other in seen.items() if other.organisation == job.organisation}
            told.append((id, RelatedSeen(states={name: mine.get(name) for name in names[id]})))
            over = [one.job for one in job.children if one.state is None and mine.get(one.job) in TERMINAL]
            told += [(id, Ended.of(seen[child]).told) for child in over]
        if told:
            await self.apply(told)

    async def tell_related(self, ended: Sequence[Ended]) -> None:
        """Looks after the children and dependents of jobs that have ended, and tells their parents. Whom this Orion has
        told before is not told again."""
        ended = [one for one in ended if one not in self._told]
        if not ended:
            return
        await self.check_related(await self.jobs.related_to([one.job for one in ended]))
        told: list[Told] = [(one.parent, one.told) for one in ended if one.parent is not None]
        heard = set((await self.apply(told)).jobs) if told else set()
        self._told.update(dict.fromkeys(one for one in ended if one.parent is None or one.parent in heard))
        while len(self._told) > TOLD:
            self._told.popitem(last=False)

    async def _look_again(self, ended: Sequence[str]) -> None:
        """Finds the children and dependents that no search showed yet when their relatives ended."""
        await self.check_related(await self.jobs.related_to(ended))

    # --- how -------------------------------------------------------------------------------------------------------

    def _guess(self, told: Sequence[Told]) -> tuple[set[str], dict[str, Versioned]]:
        """What need not be read: jobs as this Orion wrote them last, and new ones, of which nothing is there yet. The
        compare-and-set of the write says whether that was right; if not, the next round reads."""
        guessed: set[str] = set()
        known: dict[str, Versioned] = {}
        for id, event in told:
            if id in guessed:
                continue
            written = self.jobs.written(id)
            if written is not None:
                known[id] = written
            if written is not None or isinstance(event, Requested):
                guessed.add(id)
        return guessed, known

    def _decide(
        self,
        told: Sequence[Told],
        pending: Sequence[int],
        loaded: Mapping[str, Versioned],
        now: datetime,
        decisions: list[Decision],
        jobs: dict[str, Job],
    ) -> _Round:
        groups: dict[str, list[int]] = {}
        for index in pending:
            groups.setdefault(told[index][0], []).append(index)
        round_ = _Round()
        for id, indices in groups.items():
            found = loaded.get(id)
            before = self._unsent(found.job) if found else None
            made = decide_all(before, [told[index][1] for index in indices], now, self.policy)
            for index, decision in zip(indices, made, strict=True):
                decisions[index] = decision
            job = made[-1].job
            if job is None:
                round_.unchanged += indices
                continue
            jobs[id] = job
            if any(decision.changed for decision in made):
                round_.writes.append((job, found.version if found else None))
                round_.indices.append(indices)
                round_.told.append(before.events[-1].n if before and before.events else 0)
            else:
                round_.unchanged += indices
        return round_

    def _note(self, job: Job, n: int) -> None:
        """A line for each new step in a job's life, and the observer's turn."""
        self._observer.stepped(job, n)
        if job.events and job.events[-1].n > n:
            self._watch(job)
        named = {"job": job.id, "organisation": job.organisation}
        trace_id = trace_id_of(job.traceparent)
        if trace_id is not None:
            named["trace_id"] = trace_id
        for event in job.events:
            if event.n > n:
                reason = event.reason.code if event.reason else None
                self.log.info(f"job_{event.type}", phase=event.phase, attempt=event.attempt, reason=reason, **named)

    def _written(self, job: Job, decisions: Sequence[Decision]) -> list[Order]:
        """After a write: what was taken out of the outbox with it is forgotten, what is new in it is to be sent."""
        kept = {command.n for command in job.outbox}
        sent = self._sent.get(job.id)
        if sent is not None:
            sent &= kept
            if not sent:
                del self._sent[job.id]
                self._clearing.discard(job.id)
        return [Order(job, command) for decision in decisions for command in decision.commands if command.n in kept]

    def _unsent(self, job: Job) -> Job:
        """The job without the commands that this Orion knows to be published."""
        sent = self._sent.get(job.id)
        if not sent or not job.outbox:
            return job
        outbox = tuple(command for command in job.outbox if command.n not in sent)
        return job if len(outbox) == len(job.outbox) else changed(job, {"outbox": outbox})

    async def _publish(self, orders: Sequence[Order]) -> None:
        if not orders:
            return
        told: list[Told] = []
        for order, outcome in zip(orders, await self._sender.send(orders), strict=True):
            told += self._outcome(order.job, order.command, outcome)
        if told:
            await self.apply(told)

    def _outcome(self, job: Job, command: Command, outcome: Studio9Error | None) -> list[Told]:
        """Notes what was published, and says what the core must hear of what was not."""
        unroutable = isinstance(outcome, UnroutableError)
        over = outcome is None or isinstance(outcome, TooLarge) or (unroutable and command.type not in KEPT)
        if over and command.n:
            self._sent.setdefault(job.id, set()).add(command.n)
            self._clearing.add(job.id)
        if outcome is None:
            return []
        self.log.warning("not_sent", job=job.id, type=command.type, n=command.n, reason=outcome.message)
        if unroutable and command.type == WorkerRun.type:
            return [(job.id, Unroutable(fence=int(command.data["fence"])))]
        if isinstance(outcome, TooLarge):
            return [(job.id, DeadLettered(type=command.type, why=outcome.message))]
        return []

    async def _follow(self, decisions: Sequence[Decision]) -> None:
        """The effects: lossy, each also brought about by a deadline or the cleaner."""
        check: dict[str, Job] = {}
        for decision in decisions:
            for effect in decision.effects:
                if decision.job is None:
                    continue
                if isinstance(effect, CheckRelated):
                    check[decision.job.id] = decision.job
                elif isinstance(effect, TellRelated):
                    self._telling.add(Ended.of(decision.job))
                    self._looking.add(decision.job.id)
        if check:
            await self.check_related(check.values())

    async def _clear(self, ids: Sequence[str]) -> None:
        """Takes published commands out of the outboxes of jobs that did not change in the meantime."""
        loaded = await self.jobs.load_recent((id for id in ids if id in self._sent), within_s=2 * CLEAR_AFTER_S)
        writes = []
        for id in set(ids) - set(loaded):
            self._sent.pop(id, None)
        for id, found in loaded.items():
            job = self._unsent(found.job)
            if job is found.job:
                self._sent.pop(id, None)
            else:
                writes.append((job, found.version))
        for (job, _), done in zip(writes, await self.jobs.save_many(writes), strict=True):
            if done:
                self._written(job, ())
            else:
                self._clearing.add(job.id)


def _relatives(job: Job) -> tuple[str, ...]:
    """Whose states decide how the job goes on: its parent, what it depends on, children that it waits for."""
    children = (one.job for one in job.children if one.state is None)
    return (*job.depends_on, *((job.parent,) if job.parent else ()), *children)


def _unwatched(job: Job) -> None:
    """Nobody listens."""


def _unkept(order: Order) -> bool:
    """Everything is published."""
    return False
