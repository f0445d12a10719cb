"""The judge of a run: what the event logs in Aries, the messages heard, the tasks' own notes and the disks show.

It knows what was asked for and what must hold (invariants 2, 3, 6, 7, 10, 11 of the design), not how Orion works.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from studio9_cli.chaos.asker import Asked, Heard
from studio9_common.contracts.job import TERMINAL, Attempt, Job, Phase, State
from studio9_common.contracts.reasons import RETRIES, ReasonClass
from studio9_orion.core import fold
from studio9_orion.core.fold import BrokenHistory

Sort = Literal["lost", "doubled", "stuck", "orphans"]
SORTS: tuple[Sort, ...] = ("lost", "doubled", "stuck", "orphans")
ENDS = frozenset({"completed", "failed", "cancelled", "cancelled_unseen"})


@dataclass(frozen=True, slots=True)
class Effect:
    """What a task wrote down about itself."""

    what: str
    job: str
    fence: int
    worker: str
    at: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    sort: Sort
    what: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known when a run is over. `odd`: what changed in the store that may not; `left`: what was left
    behind, by job."""

    asked: Mapping[str, Asked]
    jobs: Mapping[str, Job]
    heard: Mapping[str, Sequence[Heard]]
    effects: Sequence[Effect] = ()
    cancels: Mapping[str, float] = field(default_factory=dict)
    odd: Sequence[tuple[str, str]] = ()
    left: Sequence[tuple[str, str]] = ()


def judge(evidence: Evidence) -> list[Finding]:
    """Everything that must not be, by job."""
    found = [Finding("doubled", what, job) for job, what in evidence.odd]
    found += [Finding("orphans", what, job) for job, what in evidence.left]
    for asked in evidence.asked.values():
        job = evidence.jobs.get(asked.id)
        if job is None:
            found.append(Finding("lost", "was asked for, and is not in the store", asked.id))
            continue
        found += [Finding("stuck", what, job.id) for what in _stuck(job)]
        found += [Finding("doubled", what, job.id) for what in _doubled(job, evidence.heard.get(job.id, ()))]
        if job.state in TERMINAL:
            found += [Finding("lost", what, job.id) for what in _wrong_end(evidence, asked, job)]
    found += [Finding("doubled", what, job) for job, what in _begun_twice(evidence)]
    return found


def _stuck(job: Job) -> Iterator[str]:
    if job.state not in TERMINAL:
        yield f"is {job.phase}"
    elif job.phase is not Phase.clean:
        yield f"is {job.state}, but {job.phase}"
    elif job.outbox:
        yield "still has something to say"


def _doubled(job: Job, heard: Sequence[Heard]) -> Iterator[str]:
    ends = [event.type for event in job.events if event.type in ENDS]
    if len(ends) > 1:
        yield f"has {len(ends)} terminal events: {', '.join(ends)}"
    told = {(one.state, one.fence) for one in heard if one.state}
    if len(told) > 1:
        yield f"was told to have ended as {' and as '.join(sorted(f'{state} ({fence})' for state, fence in told))}"
    if told and job.state in TERMINAL and {state for state, _ in told} != {job.state.value}:
        yield f"is {job.state}, and was told as {', '.join(sorted(state for state, _ in told))}"
    succeeded = [attempt.fence for attempt in job.attempts if attempt.outcome == "succeeded"]
    if len(succeeded) > 1:
        yield f"{len(succeeded)} attempts count as succeeded"
    if job.result is not None and (job.result.fence != job.fence or [job.result.fence] != succeeded):
        yield f"the result of fence {job.result.fence} counts; the job's fence is {job.fence}"
    fences = [attempt.fence for attempt in job.attempts]
    if fences != sorted(set(fences)):
        yield f"its attempts have the fences {fences}"


def _begun_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    begun = Counter((effect.job, effect.fence) for effect in evidence.effects if effect.what == "began")
    for (job, fence), count in begun.items():
        if count > 1:
            yield job, f"the task of fence {fence} began {count} times"
        known = evidence.jobs.get(job)
        if known is not None and fence not in {attempt.fence for attempt in known.attempts}:
            yield job, f"a task ran under fence {fence}, which no attempt has"


def _wrong_end(evidence: Evidence, asked: Asked, job: Job) -> Iterator[str]:
    try:
        folded = fold(job.events)
        if (folded.state, folded.phase) != (job.state, job.phase):
            yield f"its history says {folded.state}, {folded.phase}"
    except BrokenHistory as error:
        yield error.message
    match job.state:
        case State.completed:
            if asked.wish.ending == "user_error":
                yield "completed, though its task reports an error"
            if job.result is None or job.result.manifest is None:
                yield "completed without a result"
            begun = {effect.fence for effect in evidence.effects if effect.job == job.id and effect.what == "ended"}
            if job.result is not None and job.result.fence not in begun:
                yield "completed by an attempt whose task did not come to its end"
            for other in asked.depends_on:
                known = evidence.jobs.get(other)
                if known is None or known.state is not State.completed:
                    yield "ran, though what it depends on did not complete"
        case State.cancelled:
            parent = evidence.jobs.get(asked.parent) if asked.parent else None
            if job.id not in evidence.cancels and (parent is None or parent.state not in TERMINAL):
                yield "was cancelled, and nobody wanted that"
        case _:
            why = _unjustified(evidence, asked, job)
            if why:
                yield f"failed without need: {why}"


def _unjustified(evidence: Evidence, asked: Asked, job: Job) -> str:
    """Why this job should not have failed; empty where it had to."""
    why = job.reason
    if why is None:
        return "no reason"
    if why.code == "dependency_failed":
        others = [evidence.jobs.get(id) for id in asked.depends_on]
        return "" if any(one and one.state in {State.failed, State.cancelled} for one in others) else why.code
    if why.class_ is ReasonClass.user:
        if len([one for one in job.attempts if one.reason and one.reason.code == why.code]) > 1:
            return "an error of the user was tried again"
        return "" if asked.wish.ending == "user_error" else f"blamed on the user: {why.code}"
    if why.code == "workers_lost":
        lost = {one.worker for one in job.attempts if one.reason and one.reason.code == "worker_lost"}
        return "" if len(lost) > 1 else "workers_lost, but one worker was lost"
    counted = [one for one in job.attempts if _counts(one, why.class_)]
    return "" if why.class_ is ReasonClass.infrastructure and len(counted) > RETRIES[why.class_] else why.code


def _counts(attempt: Attempt, class_: ReasonClass) -> bool:
    return attempt.outcome != "refused" and attempt.reason is not None and attempt.reason.class_ is class_
