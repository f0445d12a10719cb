"""`POST /v1/models/{model}/tune` and `/v1/tuning-sessions`: searches for settings; a session's id is the job's."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from studio9_baile.usecases import tuning, tuning_sessions
from studio9_baile.usecases.tuning import Search
from studio9_baile.usecases.tuning_sessions import AtWork, SeedRun, Trial, TuningSession
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.models import TrainBody
from studio9_baile.v1.routing import router
from studio9_baile.v1.sessions import SessionAnswer, SessionHead
from studio9_baile.v1.wire import Answer, Id, Page, TheSlice, paged
from studio9_common.contracts.job import State
from studio9_task.children import MOST
from studio9_task.tuning import MOST_TRIALS, MOST_VARIED, Between, OneOf, Range

routes = router(tag="tuning sessions")


class BetweenBody(Between):
    """As a request may say it: an unknown field is refused, as it is elsewhere."""

    model_config = ConfigDict(extra="forbid")


class OneOfBody(OneOf):
    """As a request may say it: an unknown field is refused, as it is elsewhere."""

    model_config = ConfigDict(extra="forbid")


class TuneBody(TrainBody):
    """What to search: `vary` names parameters of the head, and `rate` for both learning rates, each with what it may
    be; all else is as in `config`. Of `trials` settings that are tried, `at_once` at a time, one of each `factor` goes
    on to the next rung; the winner is trained again with three seeds. It needs pictures to compare on: `val` in the
    dataset version, or five to train on that are not all
    of one video, of which some are held back."""

    vary: dict[str, Annotated[BetweenBody | OneOfBody, Field(discriminator="kind")]] = Field(
        min_length=1, max_length=MOST_VARIED
    )
    trials: int = Field(9, ge=1, le=MOST_TRIALS)
    at_once: int = Field(2, ge=1, le=MOST)
    factor: int = Field(3, ge=2, le=10)


class Tuning(Answer):
    """A search that is queued, and the version that its best model becomes."""

    tuning_session: str
    model_version: str
    number: int


class AtWorkAnswer(Answer):
    """A training that the search waits for, to so many epochs: its job, the job's state, and why it has no slot yet."""

    epochs: int
    job: str | None = None
    state: State | None = None
    waiting: str | None = None

    @classmethod
    def of(cls, one: AtWork | None) -> "AtWorkAnswer | None":
        if one is None:
            return None
        return cls(epochs=one.epochs, job=one.job, state=one.state, waiting=one.waiting or None)


class TrialAnswer(Answer):
    """One set of settings. `values` are what it reached, by epochs, `figure` the best of them; `reason` says why it
    failed."""

    number: int
    settings: dict[str, Any]
    state: Literal["running", "done", "pruned", "failed"]
    values: dict[int, float]
    figure: float | None = None
    reason: str | None = None
    at_work: AtWorkAnswer | None = None

    @classmethod
    def of(cls, one: Trial) -> "TrialAnswer":
        return cls(
            number=one.studied.number,
            settings=dict(one.studied.settings),
            state=one.studied.state,
            values=dict(one.studied.values),
            figure=one.figure,
            reason=one.studied.reason or None,
            at_work=AtWorkAnswer.of(one.at_work),
        )


class SeedAnswer(Answer):
    """The winner's settings with another seed."""

    seed: int
    figure: float | None = None
    at_work: AtWorkAnswer | None = None

    @classmethod
    def of(cls, one: SeedRun) -> "SeedAnswer":
        return cls(seed=one.seed, figure=one.figure, at_work=AtWorkAnswer.of(one.at_work))


class SearchAnswer(Answer):
    """What is searched, and how far it is: `rungs` are the epochs at which trials are compared, `best` is the number of
    the best trial so far, and `seeds` are the winner's once there is one."""

    vary: dict[str, Range]
    trials_wanted: int
    at_once: int
    factor: int
    rungs: list[int]
    best: int | None = None
    trials: list[TrialAnswer]
    seeds: list[SeedAnswer]

    @classmethod
    def of(cls, found: TuningSession) -> "SearchAnswer | None":
        asked = found.asked
        if asked is None:
            return None
        return cls(
            vary=dict(asked.vary),
            trials_wanted=asked.trials,
            at_once=asked.at_once,
            factor=asked.factor,
            rungs=list(found.rungs),
            best=None if found.best is None else found.best.studied.number,
            trials=[TrialAnswer.of(one) for one in found.trials],
            seeds=[SeedAnswer.of(one) for one in found.seeds],
        )


class TuningAnswer(SessionAnswer):
    """A search with its job, as a training session has them, and its trials. The artifacts of one that is over are its
    model and its study. While it runs, `GET /v1/events` tells when to read it again, also when one of its trials has
    got on."""

    search: SearchAnswer | None = None

    @classmethod
    def told(cls, found: TuningSession) -> "TuningAnswer":
        return cls(**dict(SessionAnswer.of(found.session)), search=SearchAnswer.of(found))


@routes.post("/models/{model_id}/tune", status_code=202)
async def tune(model_id: Id, body: TuneBody, core: TheCore, caller: TheCaller) -> Tuning:
    """Queues a search for settings, whose best model becomes a new version. What cannot be searched is refused here,
    before it is queued."""
    process, version = await tuning.tune(
        core,
        caller,
        model_id,
        body.dataset_version_id,
        body.compute_profile_id,
        body.config,
        Search(vary=body.vary, trials=body.trials, at_once=body.at_once, factor=body.factor),
        framework=body.framework,
        own=body.own_code(),
    )
    return Tuning(tuning_session=process.id, model_version=version.id, number=version.number)


@routes.get("/tuning-sessions", response_model_exclude_none=True)
async def list_sessions(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[SessionHead]:
    rows = await tuning_sessions.list_tunings(core, caller, wanted)
    return paged([SessionHead.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/tuning-sessions/{tuning_id}", response_model_exclude_none=True)
async def get(tuning_id: Id, core: TheCore, caller: TheCaller) -> TuningAnswer:
    return TuningAnswer.told(await tuning_sessions.get_tuning(core, caller, tuning_id))
