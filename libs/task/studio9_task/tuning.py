"""Searching a training's settings. Kinds `tune` and `trial`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from studio9_task.catalogue import IntParameter, ParameterDefinition
from studio9_task.children import MOST
from studio9_task.model import Contract, Name
from studio9_task.parameters import TrainParameters

STATE = "state"
"""The input of a trial that holds where its last rung ended; the file of that name is among that trial's outputs."""
RATE = "rate"
"""What is varied under this name is both learning rates."""
MOST_TRIALS = 200
MOST_VARIED = 20


class Between(Contract):
    """A number from `low` to `high`; with `log` tenfold counts alike everywhere."""

    kind: Literal["int", "float"]
    low: float
    high: float
    log: bool = False


class OneOf(Contract):
    """One of some values."""

    kind: Literal["one_of"] = "one_of"
    values: tuple[bool | int | float | str, ...] = Field(min_length=1, max_length=100)


Range = Annotated[Between | OneOf, Field(discriminator="kind")]


class TuneParameters(Contract):
    """Kind `tune`. Inputs: `train`, and where there are some `val`. Outputs: `study.json`, `model.pt`.

    `vary` names parameters of the head, and `rate` for both learning rates; what it does not name is as in `train`.
    """

    framework: Name = Field(description="whose training it is")
    train: TrainParameters
    vary: Mapping[str, Range] = Field(min_length=1, max_length=MOST_VARIED)
    trials: int = Field(default=9, ge=1, le=MOST_TRIALS, description="settings that are tried")
    at_once: int = Field(default=2, ge=1, le=MOST, description="trainings that may run at the same time")
    factor: int = Field(default=3, ge=2, le=10, description="of so many trials one goes on to the next rung")


class TrialParameters(Contract):
    """Kind `trial`. Inputs: `train`, and where there are some `val`, `state`. Outputs: at a rung before the last
    `state.pt`, at the last `model.pt`."""

    framework: Name
    train: TrainParameters
    epochs: int = Field(ge=1, description="train until so many are done in all")
    judge: bool = Field(
        default=False, description="at the last rung: also the figures on the validation pictures, and the thresholds"
    )


class StudiedTrial(Contract):
    """A trial as a study's file has it; `values` are what it reached at each rung (epochs: fitness)."""

    number: int = Field(ge=0)
    settings: Mapping[str, Any]
    values: Mapping[int, float] = Field(default_factory=dict)
    state: Literal["running", "done", "pruned", "failed"] = "running"
    reason: str = ""


class StudiedWish(Contract):
    """A training that a study waits for: a trial to its next rung, or the winner with another seed (`trial` is none).
    `name` is that of the child that trains it."""

    name: str
    seed: int
    epochs: int
    trial: int | None = None


class StudyFile(Contract):
    """What readers may rely on in `study.json`, whatever else is in it. `rungs` are epochs; `winners` is what the
    winner has reached, by seed."""

    format: Literal["studio9-study"]
    rungs: tuple[int, ...]
    trials: tuple[StudiedTrial, ...] = ()
    wanted: tuple[StudiedWish, ...] = ()
    winners: Mapping[int, float] = Field(default_factory=dict)


PARAMETERS: tuple[ParameterDefinition, ...] = (
    IntParameter(
        name="trials", description="Settings that are tried", defaults=(9,), min=1, max=MOST_TRIALS
    ),
    IntParameter(
        name="at_once", description="Trainings that may run at the same time", defaults=(2,), min=1, max=MOST
    ),
    IntParameter(
        name="factor", description="Of so many trials one goes on to the next rung", defaults=(3,), min=2, max=10
    ),
)  # fmt: skip
"""Of kind `tune`, beside those of the training and what is varied."""
