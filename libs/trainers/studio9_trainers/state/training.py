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
from studio9_trainers.state.blocks import Blocks, taken_apart

FORMAT = "studio9-training"
SCHEMA = 2

PARTS = {"model": True, "average": True, "optimizer": False, "scaler": False, "best": True}
"""What holds tensors, and whether it is kept in full precision whatever it is at work in."""


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
    """A whole state, its tensors as they are at work. `best` is none while the average is the best so far."""

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


class Copies:
    """Copies of states as their files hold them, in memory that the next copy uses again."""

    def __init__(self) -> None:
        self._blocks = {name: Blocks() for name in PARTS}

    def of(self, state: TrainingState) -> dict[str, Any]:
        """What the state's file will hold, whatever becomes of the state's tensors; until the next call."""
        facts = {
            "framework": state.framework,
            "config": state.config.model_dump(mode="json"),
            "labels": list(state.labels),
            "place": asdict(state.place),
        }
        parts = {name: self._blocks[name].copy(getattr(state, name), full) for name, full in PARTS.items()}
        return {"format": FORMAT, "schema": SCHEMA, "facts": json.dumps(facts), **parts}


def write_copy(path: Path, content: Mapping[str, Any]) -> Written:
    """Write what `Copies` gave as a whole: a temporary name, synced, renamed. Raises OSError."""
    with new_file(path) as new, new.path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's words for it name neither the disk nor what it lacks
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
    return new.written


def save_state(path: Path, state: TrainingState) -> Written:
    """Write the state as a whole: a temporary name, synced, renamed."""
    return write_copy(path, Copies().of(state))


def read_state(path: Path) -> dict[str, Any]:
    """What a state's file holds: `facts`, and each of its parts. Raises BadCheckpoint when it is no such file."""
    content = load_plain(path, "checkpoint", BadCheckpoint)
    if content.get("format") != FORMAT:
        raise BadCheckpoint("The checkpoint was not made here: start without it.")
    try:
        # In files of the first schema tensors stand where they belong.
        apart = taken_apart if content["schema"] > 1 else lambda part: part
        return {"facts": json.loads(content["facts"])} | {name: apart(content[name]) for name in PARTS}
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadCheckpoint(f"The checkpoint can't be read ({type(error).__name__}): it is damaged.") from None


def load_state(path: Path, framework: str, config: TrainingConfig, labels: tuple[str, ...]) -> TrainingState:
    """Read a state that belongs to this training. Raises BadCheckpoint when it is another's, or damaged."""
    content = read_state(path)
    facts = content["facts"]
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
