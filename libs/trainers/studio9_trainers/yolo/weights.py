"""YOLO models as files: tensors and plain facts, loaded without unpickling any object; the code rebuilds the rest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from studio9_task.outputs import Written, new_file
from studio9_task.parameters import Thresholds
from studio9_trainers.errors import UserError
from studio9_trainers.yolo.framework import MODEL_FILES

FORMAT = "studio9-yolo-detector"
SCHEMA = 1

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds."""

    architecture: str
    labels: tuple[str, ...]
    input_size: int
    thresholds: Thresholds
    state: State


def build(architecture: str, labels: int) -> Any:
    """A fresh model of one of the catalogue's architectures, for so many labels."""
    return DetectionModel(MODEL_FILES[architecture][1], ch=3, nc=labels, verbose=False)


def backbone_layers(architecture: str) -> int:
    """How many of its layers are the backbone; those after it belong to the head."""
    return len(yaml_model_load(MODEL_FILES[architecture][1])["backbone"])


def save_model(path: Path, model: ModelFile) -> Written:
    """Write a model file as a whole."""
    facts = {
        "architecture": model.architecture,
        "labels": list(model.labels),
        "input_size": model.input_size,
        "thresholds": model.thresholds.model_dump(mode="json"),
        "pixels": "upright RGB from 0 to 1, longer side to input_size, padded with 114/255 to multiples of 32",
    }
    with new_file(path) as new:
        torch.save({"format": FORMAT, "schema": SCHEMA, "facts": json.dumps(facts), "state": model.state}, new.path)
    return new.written


def load_model(path: Path) -> ModelFile:
    """Read a model file. Raises UserError when it is missing, damaged or of another kind."""
    content = load_plain(path, "model")
    if content.get("format") != FORMAT:
        raise UserError(
            "The model is not one of YOLO's made here: choose a model that this framework trained.", "bad_model"
        )
    facts = json.loads(content["facts"])
    if facts["architecture"] not in MODEL_FILES:
        known = ", ".join(MODEL_FILES)
        raise UserError(f"The model is a {facts['architecture']}; here are {known}: use a newer version.", "bad_model")
    return ModelFile(
        architecture=facts["architecture"],
        labels=tuple(facts["labels"]),
        input_size=int(facts["input_size"]),
        thresholds=Thresholds.model_validate(facts["thresholds"]),
        state=content["state"],
    )


def load_plain(path: Path, what: str) -> Mapping[str, Any]:
    """A file of tensors and plain values. Raises UserError when it is no such file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"The {what} is missing: give one among the inputs.", "bad_model") from None
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"The {what} can't be read ({reason}): it is damaged or was not made here.", "bad_model"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"The {what} holds no weights made here: choose another.", "bad_model")
    return content


def load_fitting(model: Any, state: State) -> int:
    """Load those tensors of `state` that fit by name and shape; how many did."""
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return len(fitting)


def copied(model: Any) -> State:
    """A model's tensors, on the CPU, in full precision, detached from it."""
    return {
        name: (value.detach().float() if value.is_floating_point() else value.detach()).cpu().clone()
        for name, value in model.state_dict().items()
    }
