"""Tuning sessions: a search's job with its trials as they stand, what it measured, logged and left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.repositories.base import Slice
from studio9_baile.usecases import sessions
from studio9_baile.usecases.jobs import KnownJob, waiting_of
from studio9_baile.usecases.sessions import Session
from studio9_baile.usecases.tuning import TUNE
from studio9_common.contracts.job import Child, Job, State
from studio9_common.logs import logger
from studio9_common.objects.port import ObjectMissing
from studio9_task.problems import describe
from studio9_task.tuning import StudiedTrial, StudiedWish, StudyFile, TuneParameters

STUDY = "study.json"
MOST_STUDY = 16 << 20
"""Bytes of a study that are read."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A training that the search waits for: a job of its own, with its state and why it has no slot yet; `epochs` are
    those that it is trained to."""

    epochs: int
    job: str | None = None
    state: State | None = None
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of settings, and the training that it waits for, if any."""

    studied: StudiedTrial
    at_work: AtWork | None = None

    @property
    def figure(self) -> float | None:
        """The best that it has reached."""
        return max(self.studied.values.values(), default=None)


@dataclass(frozen=True, slots=True)
class SeedRun:
    """The winner's settings with another seed: what they reached, or the training that it waits for."""

    seed: int
    figure: float | None = None
    at_work: AtWork | None = None


@dataclass(frozen=True, slots=True)
class TuningSession:
    """A search. `rungs` are the epochs at which trials are compared; there are none, and no trials, until it has asked
    for its first ones, and none any more once what it had left has been removed."""

    session: Session
    asked: TuneParameters | None = None
    rungs: Sequence[int] = ()
    trials: Sequence[Trial] = ()
    seeds: Sequence[SeedRun] = field(default_factory=tuple)

    @property
    def best(self) -> Trial | None:
        """The best so far: of those that were trained for longest the one that reached most."""
        reached = [one for one in self.trials if one.studied.values]
        return max(reached, key=_reached, default=None)


def _reached(trial: Trial) -> tuple[int, float, int]:
    last = max(trial.studied.values)
    return last, trial.studied.values[last], -trial.studied.number


async def get_tuning(core: Core, caller: Caller, identifier: str) -> TuningSession:
    """A search that the caller may see. Raises JobMissing, Unavailable."""
    session = await sessions.get_session(core, caller, identifier, TUNE)
    job = session.known.job
    if job is None:
        return TuningSession(session)
    asked = _asked(job)
    study = await _study(core, session.known, job)
    if study is None:
        return TuningSession(session, asked)
    at_work = await _at_work(core, job, study.wanted)
    trials = {one.trial: at_work[one.name] for one in study.wanted if one.trial is not None}
    runs = [SeedRun(seed, figure) for seed, figure in study.winners.items()]
    runs += [SeedRun(one.seed, None, at_work[one.name]) for one in study.wanted if one.trial is None]
    return TuningSession(
        session,
        asked,
        study.rungs,
        [Trial(one, trials.get(one.number)) for one in study.trials],
        sorted(runs, key=lambda one: one.seed),
    )


async def list_tunings(core: Core, caller: Caller, wanted: Slice) -> Sequence[Process]:
    """The caller's searches, newest first."""
    return await sessions.list_sessions(core, caller, wanted, TUNE)


def _asked(job: Job) -> TuneParameters | None:
    try:
        return TuneParameters.model_validate(job.spec.parameters)
    except ValidationError:
        return None  # of a job whose specification was too large to be kept


async def _study(core: Core, known: KnownJob, job: Job) -> StudyFile | None:
    """The newest study that is there: each run of a search that came to its end has left one."""
    fence = next((one.fence for one in reversed(job.attempts) if one.outcome == "succeeded"), None)
    if fence is None:
        return None
    key = f"{known.process.organisation}/jobs/{job.id}/{fence}/outputs/{STUDY}"
    try:
        return StudyFile.model_validate_json(await core.objects.get(key, start=0, length=MOST_STUDY))
    except ObjectMissing:
        return None
    except ValidationError as error:
        logger("baile").warning("study_not_read", job=job.id, problem=describe(error))
        return None


async def _at_work(core: Core, job: Job, wanted: Sequence[StudiedWish]) -> Mapping[str, AtWork]:
    """What is known of each training that the study waits for, by name."""
    children = {one.name: one for one in job.children}
    asked = [children[one.name] for one in wanted if one.name in children]
    open_ = [one.job for one in asked if one.state is None]
    found = await core.aries.get_jobs(open_, organisation=job.organisation) if open_ else []
    jobs = {one[0].id: one[0] for one in found if one is not None}
    why = await waiting_of(core, jobs.values())
    return {one.name: _one(one, children.get(one.name), jobs, why) for one in wanted}


def _one(wish: StudiedWish, child: Child | None, jobs: Mapping[str, Job], why: Mapping[str, str]) -> AtWork:
    if child is None:
        return AtWork(wish.epochs)
    job = jobs.get(child.job)
    state = child.state or (job.state if job is not None else State.submitted)
    return AtWork(wish.epochs, child.job, state, why.get(child.job, ""))
