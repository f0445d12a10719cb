"""Model files and states: tensors and plain facts in one file, loaded without running any code that it holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from studio9_task.outputs import Written, new_file
from studio9_task.parameters import Thresholds
from studio9_trainers.capabilities import Task
from studio9_trainers.errors import BadModel, UserError

FORMAT = "studio9-model"
SCHEMA = 1

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds. `options` are those that its modules were made with."""

    framework: str
    task: Task
    architecture: str
    head: str
    labels: tuple[str, ...]
    input_size: int
    thresholds: Thresholds
    state: State
    options: Mapping[str, Any] = field(default_factory=dict)
    pixels: str = ""
    """How pixels reach the model, in words: for those who use the file without us."""
    chosen: Thresholds | None = None
    """Those with the best F1 on the validation pictures."""


FACTS = ("framework", "task", "architecture", "head", "labels", "input_size", "options", "pixels")


def save_model(path: Path, model: ModelFile) -> Written:
    """Write a model file as a whole."""
    facts = {name: getattr(model, name) for name in FACTS} | {"thresholds": model.thresholds.model_dump(mode="json")}
    if model.chosen is not None:
        facts["chosen"] = model.chosen.model_dump(mode="json")
    with new_file(path) as new:
        torch.save({"format": FORMAT, "schema": SCHEMA, "facts": json.dumps(facts), "state": model.state}, new.path)
    return new.written


def load_model(path: Path, framework: str, task: Task) -> ModelFile:
    """Read a model file of this framework and task. Raises BadModel when it is missing, damaged or another's."""
    model = read_model(path)
    if (model.framework, model.task) != (framework, task):
        raise BadModel(
            f"The model is one of {model.framework} to {model.task}, not of {framework} to {task}: choose another."
        )
    return model


def read_model(path: Path) -> ModelFile:
    """Read any model file. Raises BadModel when it is missing, damaged or was not made here."""
    content = load_plain(path, "model", BadModel)
    if content.get("format") != FORMAT:
        raise BadModel("The model was not made here: choose a model that was trained here.")
    try:
        facts = json.loads(content["facts"])
        return ModelFile(
            **{name: facts[name] for name in FACTS if name != "labels"},
            labels=tuple(facts["labels"]),
            thresholds=Thresholds.model_validate(facts["thresholds"]),
            chosen=Thresholds.model_validate(facts["chosen"]) if facts.get("chosen") else None,
            state=content["state"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"The model's facts can't be read ({type(error).__name__}): it is damaged.") from None


def load_plain(path: Path, what: str, error_class: type[UserError]) -> Mapping[str, Any]:
    """A file of tensors and plain values. Raises `error_class` when it is no such file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise error_class(f"The {what} is missing: give one among the inputs.") from None
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise error_class(f"The {what} can't be read ({reason}): it is damaged or was not made here.") from None
    if not isinstance(content, dict):
        raise error_class(f"The {what} holds no weights made here: choose another.")
    return content


def load_fitting(model: torch.nn.Module, state: State) -> int:
    """Load those tensors of `state` that fit by name and shape; how many did."""
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return len(fitting)


def copied(model: torch.nn.Module) -> State:
    """A model's tensors, on the CPU, in full precision, detached from it."""
    return {
        name: (value.detach().float() if value.is_floating_point() else value.detach()).cpu().clone()
        for name, value in model.state_dict().items()
    }
