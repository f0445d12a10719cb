"""A study: which settings were tried, how far and how well; it suggests the next. Asked and told, it runs nothing.

Its file holds everything: read again after a crash it goes on where it was, and suggests what it would have.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import TrialState, create_trial

from studio9_task.outputs import Written, write_bytes
from studio9_task.tuning import Range
from studio9_trainers.errors import BadInput
from studio9_trainers.tuning.space import SPACE, distribution

FORMAT = "studio9-study"


@dataclass
class Trial:
    """One set of settings. `values`: what it reached at each rung (epochs: fitness)."""

    number: int
    settings: dict[str, Any]
    values: dict[int, float] = field(default_factory=dict)
    state: Literal["running", "done", "pruned", "failed"] = "running"
    reason: str = ""
    last: str = ""
    """The name under which its last rung was trained: where its state is."""

    @property
    def best(self) -> float:
        """The best value at any rung."""
        return max(self.values.values(), default=-math.inf)


@dataclass
class Wanted:
    """A training that was asked for and has not been told of: a trial to its next rung, or the winner with another seed
    (`trial` is None). `candidate` is the same for all rungs of a trial, `name` is used once."""

    name: str
    candidate: str
    settings: dict[str, Any]
    seed: int
    epochs: int
    trial: int | None = None
    before: str = ""
    """Of a trial that goes on: the name of its last rung."""
    again: str = ""
    """Of one that was lost: the name under which it was."""
    tries: int = 1


@dataclass
class Study:
    """Settings are tried up to each of `rungs` (epochs); of those that came to a rung the best part goes on.

    `wanted`: what was asked for; `winners`: what the winner has reached, by seed; `seeded`: its seeds were asked for.
    """

    space: Mapping[str, Range]
    rungs: tuple[int, ...]
    seed: int = 0
    keep: float = 1 / 3
    trials: list[Trial] = field(default_factory=list)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    winners: dict[int, float] = field(default_factory=dict)
    seeded: bool = False

    def ask(self) -> Trial:
        """The next settings: those of a trial that was lost while it ran, else new ones."""
        return next((one for one in self.trials if one.state == "running"), None) or self.begin()

    def begin(self) -> Trial:
        """New settings, also while others are at work."""
        # A sampler of its own for each: what it suggests follows from the seed and what was told, not from memory.
        sampler = optuna.samplers.TPESampler(seed=self.seed + len(self.trials), n_startup_trials=5)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        known = optuna.create_study(direction="maximize", sampler=sampler)
        distributions = {name: distribution(one) for name, one in self.space.items()}
        for trial in self.trials:
            if trial.values:
                known.add_trial(
                    create_trial(
                        state=TrialState.COMPLETE,
                        params=trial.settings,
                        distributions=distributions,
                        value=trial.best,
                    )
                )
        found = Trial(len(self.trials), dict(known.ask(distributions).params))
        self.trials.append(found)
        return found

    def tell(self, number: int, epochs: int, value: float) -> bool:
        """What a trial has reached at a rung; whether it should go on to the next."""
        trial = self.trials[number]
        trial.values[epochs] = value
        if epochs >= self.rungs[-1]:
            trial.state = "done"
            return False
        if not self._among_best(trial, epochs):
            trial.state = "pruned"
            return False
        return True

    def fail(self, number: int, reason: str) -> None:
        """A trial's settings can't be trained with; it is not tried again."""
        self.trials[number].state, self.trials[number].reason = "failed", reason

    @property
    def winner(self) -> Trial:
        """The best of those that came to the last rung. Raises BadInput when there is none."""
        done = [one for one in self.trials if one.state == "done"]
        if not done:
            reasons = sorted({one.reason for one in self.trials if one.reason})
            raise BadInput(f"No trial came to its end: {' '.join(reasons) or 'give more of them.'}")
        return max(done, key=lambda one: (one.values[self.rungs[-1]], -one.number))

    def _among_best(self, trial: Trial, epochs: int) -> bool:
        there = sorted((one.values[epochs] for one in self.trials if epochs in one.values), reverse=True)
        return trial.values[epochs] >= there[max(0, math.ceil(len(there) * self.keep) - 1)]

    def save(self, path: Path) -> Written:
        """Write it as a whole."""
        content = {
            "format": FORMAT,
            "space": {name: one.model_dump(mode="json") for name, one in self.space.items()},
            "rungs": self.rungs,
            "seed": self.seed,
            "keep": self.keep,
            "trials": [asdict(one) for one in self.trials],
            "wanted": [asdict(one) for one in self.wanted.values()],
            "winners": self.winners,
            "seeded": self.seeded,
        }
        return write_bytes(path, json.dumps(content, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "Study":
        """Read it. Raises BadInput when it is no study."""
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != FORMAT:
                raise KeyError("format")
            trials = [
                Trial(**{**one, "values": {int(rung): value for rung, value in one["values"].items()}})
                for one in content["trials"]
            ]
            return cls(
                SPACE.validate_python(content["space"]),
                tuple(content["rungs"]),
                content["seed"],
                content["keep"],
                trials,
                {one["name"]: Wanted(**one) for one in content.get("wanted", ())},
                {int(seed): value for seed, value in content.get("winners", {}).items()},
                content.get("seeded", False),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path.name} is no study ({type(error).__name__}): begin a new one.") from None


def rungs_of(epochs: int, factor: int = 3, least: int = 1) -> tuple[int, ...]:
    """Epochs at which trials are compared: the last, and each time a third of it, down to `least`."""
    found = [epochs]
    while found[-1] // factor >= least and found[-1] > 1:
        found.append(max(least, found[-1] // factor))
    return tuple(sorted(set(found)))
