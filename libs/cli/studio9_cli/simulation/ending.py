"""What must hold when a run is over: everything ended as it should, and nothing is left behind."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from studio9_cli.simulation.plan import SEARCH, Wish
from studio9_common.contracts.job import TERMINAL, Attempt, Job, Phase, State
from studio9_common.contracts.reasons import ReasonClass
from studio9_orion.core import fold
from studio9_orion.core.fold import BrokenHistory
from studio9_orion.core.keeping import kept_fences

if TYPE_CHECKING:
    from studio9_cli.simulation.oracle import Sort
    from studio9_cli.simulation.world import World

RETRIES = 3


def unsettled(world: "World") -> list["tuple[Sort, str, str]"]:
    """Jobs that are not through, by job."""
    found: list[tuple[Sort, str, str]] = []
    for wish in world.wishes():
        job = world.job(wish.id)
        if job is None and wish.retry_of is not None and wish.id not in world.requester.asked:
            old = world.job(wish.retry_of)
            if old is None or old.state is not State.completed:
                found.append(("stuck", "was not asked for again, though the first try failed", wish.id))
        elif job is None and world.oracle.rounds.needless(wish):
            continue
        elif job is None:
            found.append(("lost", "was asked for, and is not there", wish.id))
        elif job.state not in TERMINAL:
            found.append(("stuck", f"is {job.phase}", wish.id))
        elif job.phase is not Phase.clean:
            found.append(("stuck", f"is {job.state}, but {job.phase}", wish.id))
        elif job.outbox:
            found.append(("stuck", "still has something to say", wish.id))
    return found


def leaks(world: "World") -> list["tuple[Sort, str, str]"]:
    """What is left behind: objects, beats, and whatever lies or runs on a worker."""
    found: list[tuple[Sort, str, str]] = []
    kept: dict[str, frozenset[int]] = {}
    for key in world.bucket.content:
        _, kind, id, *rest = key.split("/")
        if id not in kept:
            job = world.job(id)
            keeps = job is not None and job.state in TERMINAL and not world.oracle.rounds.over(id)
            kept[id] = kept_fences(job) if job is not None and keeps else frozenset()
        if kind == "scratch" or int(rest[0]) not in kept[id]:
            found.append(("leaked", f"objects below {kind}/{rest[0]}", id))
    found += [("leaked", "a beat's document", id.partition(":")[0]) for id in world.database.table("beats").documents]
    for name, worker in world.workers.items():
        found += [("leaked", f"an attempt's record on {name}", key.job) for key in worker.disk.attempts]
        found += [("leaked", f"a folder on {name}", key.job) for key in worker.machine.folders]
        found += [("leaked", f"a task on {name}", key.job) for key in worker.machine.running()]
        if worker.agent is not None and worker.up:
            found += [("leaked", f"a lease on {name}", key.job) for key in worker.agent.leases.held]
    return found


def wrong_ends(world: "World") -> Iterator["tuple[Sort, str, str]"]:
    """Jobs that ended otherwise than what happened to them allows."""
    for wish in world.wishes():
        job = world.job(wish.id)
        if job is None or job.state not in TERMINAL:
            continue
        told = world.requester.told.get(job.id, set())
        if told - {job.state.value}:
            yield "doubled", f"is {job.state}, and was told as {', '.join(sorted(told))}", job.id
        try:
            folded = fold(job.events)
            if (folded.state, folded.phase) != (job.state, job.phase):
                yield "broken", f"its history says {folded.state}, {folded.phase}", job.id
        except BrokenHistory as error:
            yield "broken", error.message, job.id
        if world.oracle.priorities.get(job.id, job.priority) != job.priority:
            yield "lost", f"has priority {job.priority}, and was moved to {world.oracle.priorities[job.id]}", job.id
        match job.state:
            case State.completed:
                yield from _completed(world, wish, job)
            case State.cancelled:
                yield from _cancelled(world, wish, job)
            case State.failed:
                why = _unjustified(world, wish, job)
                if why:
                    yield "lost", f"failed without need: {why}", job.id


def _completed(world: "World", wish: Wish, job: Job) -> Iterator["tuple[Sort, str, str]"]:
    if wish.ending in {"user_error", "crash"}:
        yield "broken", f"completed, though its task ends in {wish.ending}", job.id
    if job.spec.kind == SEARCH and world.oracle.rounds.incomplete(job):
        yield "lost", "completed, but not all of its children have been asked for and have ended", job.id
    manifest = job.result.manifest if job.result else None
    there = manifest is not None and (manifest.key in world.bucket.content or world.oracle.rounds.over(job.id))
    if not there:
        yield "lost", "completed, but its result is not there", job.id
    loads = world.warehouse.loaded.get(job.id, set())
    if len(loads) > 1:
        yield "doubled", "its predictions were loaded twice", job.id
    if job.spec.kind == "predict" and not loads:
        yield "lost", "its predictions were not loaded", job.id


def _cancelled(world: "World", wish: Wish, job: Job) -> Iterator["tuple[Sort, str, str]"]:
    if world.warehouse.loaded.get(job.id):
        yield "doubled", "was cancelled, but its predictions are loaded", job.id
    if wish.cancel_at is not None:
        return
    parent = world.job(wish.parent) if wish.parent else None
    if parent is None or parent.state not in TERMINAL:
        yield "lost", "was cancelled, and nobody wanted that", job.id


def _unjustified(world: "World", wish: Wish, job: Job) -> str:
    """Why this job should not have failed; empty where it had to."""
    why = job.reason
    if why is None:
        return "no reason"
    recent = _since_round(job)
    if why.code == "dependency_failed":
        others = [world.job(name) for name in job.depends_on]
        ended = any(other is not None and other.state in {State.failed, State.cancelled} for other in others)
        return "" if ended else "what it depends on did not fail"
    if why.code == "child_failed":
        children = [world.job(one.id) for one in world.wishes() if one.parent == job.id]
        ended = any(child is not None and child.state in {State.failed, State.cancelled} for child in children)
        return "" if ended and job.spec.child_failure == "fail" else "no child of it failed"
    if why.class_ is ReasonClass.user:
        if len([one for one in recent if one.reason and one.reason.code == why.code]) > 1:
            return "an error of the user was tried again"
        return "" if wish.ending == "user_error" else f"blamed on the user: {why.code}"
    codes = [one.reason.code for one in recent if one.reason is not None]
    if why.code == "task_crashed":
        return "" if wish.ending.startswith("crash") and codes.count("task_crashed") == 2 else "its task did not crash"
    if why.code == "workers_lost":
        lost = {one.worker for one in recent if one.reason and one.reason.code == "worker_lost"}
        return "" if len(lost) > 1 else "one worker was lost"
    counted = [one for one in recent if one.reason and one.reason.class_ is why.class_ and one.outcome != "refused"]
    if why.class_ is ReasonClass.infrastructure and len(counted) > RETRIES:
        return ""
    return f"{why.code} after {len(counted)}"


def _since_round(job: Job) -> list[Attempt]:
    """The attempts after the last that ended with wishes: what was lost before counts no more."""
    asked = [place for place, one in enumerate(job.attempts) if one.outcome == "succeeded"]
    return list(job.attempts[asked[-1] + 1 :] if asked else job.attempts)
