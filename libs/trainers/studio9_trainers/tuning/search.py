"""Runs a study's trials one after the other in this process, and trains the winner again with several seeds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from studio9_trainers.capabilities import Task
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import UserError
from studio9_trainers.events import CheckpointWritten, TrainingEvent, Validated
from studio9_trainers.run import open_run
from studio9_trainers.trainer import get_trainer
from studio9_trainers.tuning.study import Study, Trial

SEEDS = 3


class Candidate(Protocol):
    """One trial at work: trained from where it is to so many epochs in all."""

    def to(self, epochs: int) -> float:
        """Train on; the best fitness so far."""


Begin = Callable[[Mapping[str, Any], int, str], Candidate]
"""(settings, seed, name) to a candidate that has not learned yet."""


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


def search(
    study: Study, trials: int, begin: Begin, saved: Path | None = None, told: Callable[[Trial], None] = lambda _: None
) -> Winner:
    """Try so many settings in all, those counted that the study already knows; then the winner's seeds.

    The study is written to `saved` after each rung. Raises BadInput when no trial came to its end.
    """

    def keep(trial: Trial) -> None:
        if saved is not None:
            study.save(saved)
        told(trial)

    while sum(one.state != "running" for one in study.trials) < trials:
        trial = study.ask()
        try:
            candidate = begin(trial.settings, study.seed, f"trial-{trial.number}")
            for epochs in study.rungs:
                goes_on = study.tell(trial.number, epochs, candidate.to(epochs))
                keep(trial)
                if not goes_on:
                    break
        except UserError as error:
            study.fail(trial.number, str(error))
            keep(trial)
    best = study.winner
    last = study.rungs[-1]
    values = [begin(best.settings, study.seed + number, f"winner-{number}").to(last) for number in range(1, SEEDS + 1)]
    return Winner(best, tuple(values))


class _RungReached(Exception):
    """The training has come to its rung, and its state is durable."""


@dataclass
class TrainingCandidate:
    """A training that pauses at each rung, and goes on from its own checkpoint exactly."""

    framework: str
    task: Task
    config: TrainingConfig
    train: PictureSet
    val: PictureSet
    folder: Path
    threads: int = 1
    fitness: list[float] = field(default_factory=list)
    checkpoint: Path | None = None

    def to(self, epochs: int) -> float:
        """See Candidate."""
        run = open_run(self.folder, threads=self.threads, seed=self.config.seed)

        def heard(event: TrainingEvent) -> None:
            if isinstance(event, Validated):
                self.fitness.append(event.fitness)
            elif isinstance(event, CheckpointWritten) and event.step == 0:
                self.checkpoint = event.written.path
                if event.epoch >= epochs < self.config.epochs:
                    raise _RungReached

        trainer = get_trainer(
            self.framework, self.task, config=self.config, train=self.train, val=self.val, resume=self.checkpoint,
            run=run, on_event=heard,
        )  # fmt: skip
        try:
            trainer.train()
        except _RungReached:
            pass
        finally:
            run.events.close()
        return max(self.fitness)


def with_settings(parameters: Mapping[str, Any], settings: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """A training's parameters with a trial's settings in their places. `rate` is both learning rates.

    Raises UserError for a setting that the head does not have.
    """
    head = dict(parameters.get("head_parameters", {}))
    found = dict(parameters)
    for name, value in settings.items():
        if name == "rate":
            found["rates"] = {"backbone": value, "head": value}
        elif name in known:
            head[name] = value
        else:
            raise UserError(f"--vary {name}: the head has no such parameter; it has rate, {', '.join(known)}.")
    return found | {"head_parameters": head}
