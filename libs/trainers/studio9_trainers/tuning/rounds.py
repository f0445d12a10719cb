"""What a search wants trained next, told by what has been: one at a time in one process, several as children of a job.

All that it knows is in the study, so whoever reads that goes on where it was.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio9_trainers.tuning.study import Study, Trial, Wanted

SEEDS = 3
TRIES = 3
"""How often a training is asked for that is lost for no fault of its settings."""


@dataclass(frozen=True)
class Winner:
    """The best settings, and what they reach with each of several seeds."""

    trial: Trial
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds."""
        return statistics.pstdev(self.values)


@dataclass
class Rounds:
    """So many settings in all, those counted that the study knows already; `at_once` trials at a time, and in the end
    the winner with its seeds together."""

    study: Study
    trials: int
    at_once: int = 1

    def ask(self) -> Sequence[Wanted]:
        """What to train now: what was asked for and never told of, trials that go on, new ones, the winner's seeds.
        Nothing: it is over. Raises BadInput when no trial came to its end."""
        study = self.study
        if len(study.trials) < self.trials:
            # Asked on for more trials once it was over: another may win, so what the seeds reached counts no more.
            study.winners.clear()
            study.seeded = False
            study.wanted = {name: one for name, one in study.wanted.items() if one.trial is not None}
        at_work = {one.trial for one in study.wanted.values()}
        for trial in study.trials:
            if trial.state == "running" and trial.number not in at_work and len(study.wanted) < self.at_once:
                self._want(trial)
        while len(study.wanted) < self.at_once and len(study.trials) < self.trials:
            self._want(study.begin())
        if not study.wanted and not study.winners and not study.seeded:
            study.seeded = True
            best, last = study.winner, study.rungs[-1]
            for number in range(1, SEEDS + 1):
                name = f"winner-{number}"
                study.wanted[name] = Wanted(name, name, best.settings, study.seed + number, last)
        return list(study.wanted.values())

    def tell(self, name: str, value: float) -> Trial | None:
        """What was reached; the trial that it belongs to, none for the winner's seeds."""
        one = self.study.wanted.pop(name)
        if one.trial is None:
            self.study.winners[one.seed] = value
            return None
        trial = self.study.trials[one.trial]
        trial.last = name
        self.study.tell(one.trial, one.epochs, max(value, trial.best))
        return trial

    def fail(self, name: str, reason: str) -> Trial | None:
        """It can't be trained with these settings. Of the winner's seeds one less counts."""
        one = self.study.wanted.pop(name)
        if one.trial is None:
            return None
        self.study.fail(one.trial, reason)
        return self.study.trials[one.trial]

    def lost(self, name: str, reason: str) -> bool:
        """It was lost for no fault of its own; whether it is wanted again, under another name."""
        one = self.study.wanted[name]
        if one.tries >= TRIES:
            self.fail(name, reason)
            return False
        del self.study.wanted[name]
        base = name.partition(".again")[0]
        again = replace(one, name=f"{base}.again{one.tries}", again=name, tries=one.tries + 1)
        self.study.wanted[again.name] = again
        return True

    @property
    def winner(self) -> Winner:
        """Once nothing is wanted any more."""
        values = [self.study.winners[seed] for seed in sorted(self.study.winners)]
        return Winner(self.study.winner, tuple(values))

    def _want(self, trial: Trial) -> None:
        epochs = next(one for one in self.study.rungs if one not in trial.values)
        candidate = f"trial-{trial.number}"
        name = f"{candidate}.{epochs}"
        self.study.wanted[name] = Wanted(
            name, candidate, trial.settings, self.study.seed, epochs, trial=trial.number, before=trial.last
        )
