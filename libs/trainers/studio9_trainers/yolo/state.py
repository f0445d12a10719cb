"""The state of a training at an epoch's end: all that going on exactly needs, in one file loaded weights-only.

Ultralytics' own checkpoint is not enough for that: it holds no full-precision weights, rounds the average and the
optimiser to 16 bits, is written in place, and is a pickle of code.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio9_task.outputs import Written, new_file
from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import UserError
from studio9_trainers.yolo.weights import State, load_plain

FORMAT = "studio9-yolo-training"
SCHEMA = 1


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands after `epoch` epochs. `best` is none while the average is the best so far."""

    epoch: int
    config: TrainingConfig
    labels: tuple[str, ...]
    model: State
    average: State
    average_updates: int
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best_fitness: float
    best_epoch: int
    best: State | None


def save_state(path: Path, state: TrainingState) -> Written:
    """Write the state as a whole."""
    facts = {
        "epoch": state.epoch,
        "config": state.config.model_dump(mode="json"),
        "labels": list(state.labels),
        "average_updates": state.average_updates,
        "best_fitness": state.best_fitness,
        "best_epoch": state.best_epoch,
    }
    tensors = {
        "model": state.model,
        "average": state.average,
        "optimizer": state.optimizer,
        "scaler": state.scaler,
        "best": state.best,
    }
    with new_file(path) as new:
        torch.save({"format": FORMAT, "schema": SCHEMA, "facts": json.dumps(facts), **tensors}, new.path)
    return new.written


def load_state(path: Path, config: TrainingConfig, labels: tuple[str, ...]) -> TrainingState:
    """Read a state that belongs to this training. Raises UserError when it is another's, or damaged."""
    content = load_plain(path, "checkpoint")
    if content.get("format") != FORMAT:
        raise UserError("The checkpoint is not one of YOLO's made here: start without it.", "bad_checkpoint")
    facts = json.loads(content["facts"])
    saved = TrainingConfig.model_validate(facts["config"])
    differing = [name for name in TrainingConfig.model_fields if getattr(saved, name) != getattr(config, name)]
    if tuple(facts["labels"]) != labels:
        differing.append("labels")
    if differing:
        raise UserError(
            f"The checkpoint is of a training with other {', '.join(differing)}: start without it.", "bad_checkpoint"
        )
    return TrainingState(
        epoch=facts["epoch"],
        config=saved,
        labels=labels,
        model=content["model"],
        average=content["average"],
        average_updates=facts["average_updates"],
        optimizer=content["optimizer"],
        scaler=content["scaler"],
        best_fitness=facts["best_fitness"],
        best_epoch=facts["best_epoch"],
        best=content["best"],
    )
