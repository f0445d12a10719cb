"""Runs a study's trials one after the other in this process, and trains the winner again with several seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from studio9_trainers.capabilities import Task
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import UserError
from studio9_trainers.events import CheckpointWritten, EpochStarted, TrainingEvent, Validated
from studio9_trainers.run import Run, open_run
from studio9_trainers.trainer import Trained, get_trainer
from studio9_trainers.tuning.rounds import Rounds, Winner
from studio9_trainers.tuning.study import Study, Trial


class Candidate(Protocol):
    """One trial at work: trained from where it is to so many epochs in all."""

    def to(self, epochs: int) -> float:
        """Train on; the best fitness so far."""


Begin = Callable[[Mapping[str, Any], int, str], Candidate]
"""(settings, seed, name) to a candidate that has not learned yet."""


def search(
    study: Study, trials: int, begin: Begin, saved: Path | None = None, told: Callable[[Trial], None] = lambda _: None
) -> Winner:
    """Try so many settings in all, those counted that the study already knows; then the winner's seeds.

    The study is written to `saved` after each rung. Raises BadInput when no trial came to its end.
    """
    rounds = Rounds(study, trials)
    candidates: dict[str, Candidate] = {}
    while wanted := rounds.ask():
        for one in wanted:
            try:
                if one.candidate not in candidates:
                    candidates[one.candidate] = begin(one.settings, one.seed, one.candidate)
                trial = rounds.tell(one.name, candidates[one.candidate].to(one.epochs))
            except UserError as error:
                if one.trial is None:
                    raise
                trial = rounds.fail(one.name, str(error))
            if trial is None or trial.state != "running":
                candidates.pop(one.candidate, None)  # it holds its model
            if saved is not None:
                study.save(saved)
            if trial is not None:
                told(trial)
    return rounds.winner


class _RungReached(Exception):
    """The training has come to its rung; its last state is durable once this has left it."""


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
    run: Run | None = None
    """Where it is a task's own training; else it has one in its folder."""
    trained: Trained | None = None
    """Once it has come to its end."""

    def to(self, epochs: int) -> float:
        """See Candidate."""
        run = self.run or open_run(self.folder, threads=self.threads, seed=self.config.seed)

        def heard(event: TrainingEvent) -> None:
            if isinstance(event, Validated):
                self.fitness.append(event.fitness)
            elif isinstance(event, CheckpointWritten) and event.step == 0:
                self.checkpoint = event.written.path
            elif isinstance(event, EpochStarted) and event.epoch > epochs:
                raise _RungReached

        trainer = get_trainer(
            self.framework, self.task, config=self.config, train=self.train, val=self.val, resume=self.checkpoint,
            run=run, on_event=heard,
        )  # fmt: skip
        try:
            self.trained = trainer.train()
        except _RungReached:
            pass
        finally:
            if self.run is None:
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
            raise UserError(
                f"vary.{name}: the head has no such parameter; it has rate, {', '.join(known)}.", "bad_parameters"
            )
    return found | {"head_parameters": head}
