"""The state of a training: all that going on exactly needs, in one file loaded weights-only.

It holds weights in full precision, their moving average with its count of updates, the optimiser, the scaler of mixed
precision, the best weights and values so far, and the place in the training: finished epochs, and finished batches of
the next one. No generator's state: those follow from seed, epoch, rank and step.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from studio9_task.outputs import Written, new_file
from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import BadCheckpoint
from studio9_trainers.files import State, load_plain

FORMAT = "studio9-training"
SCHEMA = 1


@dataclass(frozen=True)
class Place:
    """Where a training stands: `epoch` finished epochs, `step` finished batches of the next, sums of its losses."""

    epoch: int
    step: int = 0
    average_updates: int = 0
    best_fitness: float = -1.0
    best_epoch: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingState:
    """A whole state. `best` is none while the average is the best so far."""

    framework: str
    config: TrainingConfig
    labels: tuple[str, ...]
    place: Place
    model: State
    average: State
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best: State | None

    @property
    def best_weights(self) -> State:
        """The weights to deliver so far."""
        return self.average if self.best is None else self.best


def save_state(path: Path, state: TrainingState) -> Written:
    """Write the state as a whole: a temporary name, synced, renamed."""
    facts = {
        "framework": state.framework,
        "config": state.config.model_dump(mode="json"),
        "labels": list(state.labels),
        "place": asdict(state.place),
    }
    tensors = {name: getattr(state, name) for name in ("model", "average", "optimizer", "scaler", "best")}
    with new_file(path) as new:
        torch.save({"format": FORMAT, "schema": SCHEMA, "facts": json.dumps(facts), **tensors}, new.path)
    return new.written


def load_state(path: Path, framework: str, config: TrainingConfig, labels: tuple[str, ...]) -> TrainingState:
    """Read a state that belongs to this training. Raises BadCheckpoint when it is another's, or damaged."""
    content = load_plain(path, "checkpoint", BadCheckpoint)
    if content.get("format") != FORMAT:
        raise BadCheckpoint("The checkpoint was not made here: start without it.")
    facts = json.loads(content["facts"])
    saved = TrainingConfig.model_validate(facts["config"])
    differing = [name for name in TrainingConfig.model_fields if getattr(saved, name) != getattr(config, name)]
    if tuple(facts["labels"]) != labels:
        differing.append("labels")
    if facts["framework"] != framework:
        differing.append("framework")
    if differing:
        raise BadCheckpoint(f"The checkpoint is of a training with other {', '.join(differing)}: start without it.")
    return TrainingState(
        framework=framework,
        config=saved,
        labels=labels,
        place=Place(**facts["place"]),
        model=content["model"],
        average=content["average"],
        optimizer=content["optimizer"],
        scaler=content["scaler"],
        best=content["best"],
    )
