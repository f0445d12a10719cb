"""The judge of a run: watches every write of a job, and looks at everything when the run is over.

It knows nothing of how Orion works, only what must hold (invariants 1 to 11 of the design) and what really happened.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from studio9_cli.simulation.clock import EPOCH
from studio9_cli.simulation.ending import leaks, unsettled, wrong_ends
from studio9_cli.simulation.plan import SEARCH, WORKERS
from studio9_cli.simulation.searching import Rounds
from studio9_common.contracts.job import OUTPUT_ORDER, TERMINAL, Job, Phase, State
from studio9_common.contracts.messages import Slot
from studio9_common.times import parse_time
from studio9_orion.core.keeping import fence_of
from studio9_orion.jobs import HELD_PHASES
from studio9_worker.lease import AttemptKey

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

Sort = Literal["lost", "doubled", "stuck", "leaked", "broken"]
CANCEL_SLACK_S = 3.0
MOMENT_S = 0.001
KNOWN_TICKS = 3
STOP_S = 60.0
"""A stubborn task has 20 s from SIGTERM to SIGKILL; the rest is for the way there."""
LOST_CODES = frozenset({"worker_lost", "start_timeout"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not happen. `broken`: an exception nobody expected, or an impossible step."""

    sort: Sort
    what: str
    at: float
    job: str = ""


class Oracle:
    """See the module's docstring."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._policy, self._tick_s = world.orion_settings.policy, world.orion_settings.tick_s
        self._look_s = world.plan.timing.look_s
        self.problems: list[Problem] = []
        self.rounds = Rounds(world)
        self.priorities: dict[str, int] = {}
        """The last priority that was confirmed to an operator, by job."""
        self._seen: set[tuple[str, str, str]] = set()
        self._begun: set[AttemptKey] = set()
        self._unwanted: dict[AttemptKey, float] = {}
        self._held: dict[str, float] = {}
        """Jobs that a worker has, and since when."""

    def problem(self, sort: Sort, what: str, job: str = "") -> None:
        """Notes a problem once."""
        key = (sort, what, job)
        if key not in self._seen:
            self._seen.add(key)
            self.problems.append(Problem(sort, what, self._world.loop.now, self._world.name_of(job)))
            self._world.note(f"PROBLEM {sort} {self._world.name_of(job)} {what}")

    # --- as it happens ---------------------------------------------------------------------------------------------

    def written(self, before: Job | None, after: Job) -> None:
        """A job's document has changed."""
        if after.phase in HELD_PHASES:
            self._held.setdefault(after.id, self._world.loop.now)
        else:
            self._held.pop(after.id, None)
        if before is None:
            self._created(after)
            self.rounds.created(after)
            return
        if after.spec.kind == SEARCH:
            self.rounds.written(before, after)
        if before.state in TERMINAL and (after.state is not before.state or after.ended_at != before.ended_at):
            self.problem("doubled", f"was {before.state} and became {after.state}", after.id)
        if before.result is not None and after.result != before.result:
            self.problem("doubled", "has another result now", after.id)
        if after.fence not in (before.fence, before.fence + 1):
            self.problem("doubled", f"fence went from {before.fence} to {after.fence}", after.id)
        if after.fence > before.fence:
            self._assigned(before, after)
        if after.checkpoint != before.checkpoint and after.checkpoint is not None:
            fence = fence_of(after, after.checkpoint.key)
            if fence != after.fence:
                self.problem("doubled", f"the checkpoint of fence {fence} counts under fence {after.fence}", after.id)
        if after.phase is Phase.clean and before.phase is not Phase.clean:
            self._child_cleaned(after)
        for name, output in before.outputs.items():
            now = after.outputs.get(name)
            if now is None or OUTPUT_ORDER[now.state] < OUTPUT_ORDER[output.state]:
                self.problem("doubled", f"output {name} was {output.state} and became {now and now.state}", after.id)
        last = after.events[-1]
        if last.n > before.events[-1].n and last.reason is not None:
            if last.type == "lost":
                self._lost(after)
            elif last.type == "attempt_failed" and last.reason.code == "worker_lost":
                self.problem("lost", "was given up by its worker before the grace was over", after.id)

    def _created(self, job: Job) -> None:
        old = self._world.job(job.retried_from) if job.retried_from else None
        if job.retried_from and (old is None or old.state not in TERMINAL):
            self.problem("broken", "is the retry of a job that has not ended", job.id)
        if old is not None and job.checkpoint != old.checkpoint:
            self.problem("lost", "does not go on from where the job that it retries was", job.id)

    def _child_cleaned(self, child: Job) -> None:
        """Before a job is clean, its parent has heard how it ended."""
        parent = self._world.job(child.parent) if child.parent else None
        if parent is None or child.state is State.completed or parent.spec.child_failure != "fail":
            return
        if parent.state in TERMINAL or parent.phase is Phase.cancelling or parent.created_at > (child.ended_at or ""):
            return
        self.problem(
            "lost", f"does not know that {self._world.name_of(child.id)}, a part of it, {child.state}", parent.id
        )

    def _assigned(self, before: Job, after: Job) -> None:
        if before.phase is not Phase.queued:
            self.problem("doubled", f"was assigned from {before.phase}", after.id)
        for name in after.depends_on:
            other = self._world.job(name)
            if other is None or other.state is not State.completed:
                self.problem("doubled", "began before what it depends on had completed", after.id)

        self._within_limit(after)

    def _within_limit(self, job: Job) -> None:
        """Whoever assigns knows what has been assigned for some ticks, and what was limited as long ago."""
        world, now = self._world, self._world.loop.now
        known = now - KNOWN_TICKS * self._tick_s
        limit = world.operator.rules.limits.get(job.organisation)
        if limit is None or world.operator.limited[job.organisation] > known or not world.troubles.steady(now):
            return
        others = [world.job(id) for id, since in self._held.items() if since < known and id != job.id]
        held = sum(other is not None and other.organisation == job.organisation for other in others)
        if held >= limit:
            self.problem(
                "broken", f"was assigned beside {held} others of {job.organisation}, limited to {limit}", job.id
            )

    def _lost(self, job: Job) -> None:
        """Silence counts only if the worker was really silent for a lease."""
        world, attempt = self._world, job.attempts[-1]
        if attempt.reason is None or attempt.reason.code not in LOST_CODES:
            return
        policy, tick_s = self._policy, self._tick_s
        span = max(policy.lease_s, policy.assigned_s) + 3 * tick_s + 15
        sure, since = attempt.reason.code == "start_timeout", world.loop.now - span
        if sure:  # the command may have vanished with the worker's queue at any time since it was given
            assigned = (parse_time(attempt.assigned_at) - EPOCH).total_seconds()
            since = min(since, assigned - tick_s)
            if world.troubles.emptied_within(assigned, world.loop.now):
                return
        if attempt.worker in WORKERS and not world.troubles.silent(attempt.worker, since, world.loop.now, sure=sure):
            self.problem("lost", f"was taken from {attempt.worker}, which was there: {attempt.reason.code}", job.id)

    def begun(self, key: AttemptKey, slots: list[Slot], beside: list[AttemptKey]) -> None:
        """A task begins in its slots; no attempt begins twice, no slot holds two, and each is what its task needs."""
        if key in self._begun:
            self.problem("doubled", f"fence {key.fence} began twice", key.job)
        self._begun.add(key)
        for other in beside:
            self.problem("doubled", f"fence {key.fence} shares its slot with {self._world.name_of(other.job)}", key.job)
        needs = self._world.wish(key.job).spec.requirements
        fit = [one for one in slots if not needs.gpus or _serves(one, needs.gpu_memory_gib)]
        if len(fit) != len(slots) or len(slots) != max(needs.gpus, 1):
            self.problem("broken", f"began in {[one.id for one in slots]}, which is not what it needs", key.job)

    def moved(self, job: str, priority: int) -> None:
        """A new priority was confirmed."""
        self.priorities[job] = priority

    def cancelled(self, job: str) -> None:
        """A cancel is confirmed: it must end within its time, once broker, store and Orion are there for it."""
        self._world.loop.after(self._cancel_s, self._check_cancel, job, self._world.loop.now)

    @property
    def _cancel_s(self) -> float:
        return self._policy.cancelling_s + self._tick_s + CANCEL_SLACK_S

    def _check_cancel(self, id: str, since: float) -> None:
        world, now = self._world, self._world.loop.now
        job = world.job(id)
        if (job is not None and job.state in TERMINAL) or world.troubles.emptied(since):
            return
        fair = world.troubles.fair_since(now)
        if fair <= max(since, now - self._cancel_s):
            self.problem("stuck", f"a cancel had no effect in time ({job.phase if job else 'unknown'})", id)
        elif fair < now:
            # Never less than a moment: what rounding leaves of a wait would not move the clock, for ever.
            world.loop.after(max(self._cancel_s - (now - fair), MOMENT_S), self._check_cancel, id, since)
        else:
            world.loop.after(self._look_s, self._check_cancel, id, since)

    def look(self) -> None:
        """Every so often: no dead worker keeps a job, and no task goes on for long that nobody wants."""
        world, now = self._world, self._world.loop.now
        silent_s = self._policy.lease_s + 3 * self._tick_s + self._look_s
        fair_since = world.troubles.fair_since(now)
        for id, document in world.database.table("jobs").documents.items():
            job: Job = document.body["job"]
            if job.phase is Phase.starting or job.phase is Phase.running:
                down = world.workers[job.attempts[-1].worker].down_since
                since = max(fair_since, down if down is not None else now)
                if now - since > silent_s:
                    self.problem("stuck", f"still counts as {job.phase} on a dead worker", id)
        for name, worker in world.workers.items():
            for key in worker.machine.running():
                wanted = world.job(key.job)
                if wanted is None or (wanted.fence == key.fence and wanted.state not in TERMINAL):
                    self._unwanted.pop(key, None)
                    continue
                first = self._unwanted.setdefault(key, now)
                since = max(first, fair_since, world.troubles.heard_since(name, now))
                if now - since > STOP_S + 3 * self._tick_s:
                    self.problem("leaked", f"fence {key.fence} goes on though nobody wants it", key.job)
        world.loop.after(self._look_s, self.look)

    # --- at the end ------------------------------------------------------------------------------------------------

    def settled(self) -> bool:
        """Whether nothing is left to be done."""
        return not unsettled(self._world) and not leaks(self._world)

    def judge(self) -> None:
        """The whole run."""
        world = self._world
        for sort, what, job in (*unsettled(world), *leaks(world), *wrong_ends(world)):
            self.problem(sort, what, job)
        for queue, key, reason in world.broker.dead:
            self.problem("broken", f"a dead letter in {queue}: {key}: {reason}")
        for error in world.loop.errors:
            self.problem("broken", error)


def _serves(slot: Slot, gib: float) -> bool:
    return slot.kind == "gpu" and slot.gpu_memory_gib >= gib
