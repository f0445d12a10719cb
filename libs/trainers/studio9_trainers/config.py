"""How a training is to run, with every default filled in."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from studio9_task.catalogue import Architecture, Catalogue, Head
from studio9_task.model import Contract
from studio9_task.parameters import Thresholds, TrainAugmentation, TrainParameters
from studio9_task.problems import describe
from studio9_task.validate import validate_pair, validate_parameters, with_defaults
from studio9_trainers.capabilities import TASK_OF_CONSUMER, Task
from studio9_trainers.errors import UserError

FORM_RATE = 1e-4
"""What the form sends untouched; it means the recipe's own rate, for at 1e-4 nothing learns from scratch."""


class LoopOptions(Contract):
    """How a loop that is ours goes. A framework that owns its loop has its own ways and passes over these."""

    average: bool = Field(default=True, description="keep a moving average of the weights, and deliver that")
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 on accelerators that have it, else fp32"
    )
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients make one step")
    clip_norm: float = Field(default=0.0, ge=0, description="the most that a step's gradients may measure; 0: no limit")
    warmup_epochs: float = Field(default=0.5, ge=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_rate: float = Field(default=0.05, ge=0, le=1, description="the rate at the end, as a part of the rate")
    weight_decay: float = Field(default=0.01, ge=0)
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: rare labels count as much as frequent ones; heads that publish it only"
    )
    deterministic: bool = True
    state_every_s: float = Field(default=600.0, ge=0, description="a state inside epochs too, so often; 0: never")


class TrainingConfig(Contract):
    """One training's settings. `options` holds what only some frameworks know."""

    task: Task = "detect"
    architecture: str
    head: str
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: str
    patience: int = Field(ge=0, description="epochs without a better validation before it ends; 0: never")
    seed: int = Field(ge=0)
    backbone_rate: float = Field(gt=0)
    head_rate: float = Field(gt=0)
    validation_fraction: float = Field(gt=0, lt=1)
    input_size: int | None = Field(default=None, description="pixels of the longer side, a multiple of 32")
    thresholds: Thresholds = Thresholds()
    freeze_backbone: bool = False
    augmentation: TrainAugmentation | None = None
    loop: LoopOptions = LoopOptions()
    options: Mapping[str, Any] = Field(default_factory=dict)


COMMON = ("epochs", "batch_size", "optimizer", "patience", "seed", "recipe_learning_rate", "validation_fraction")
"""The head parameters that every framework's heads publish."""


def training_config(parameters: Mapping[str, Any], catalogue: Catalogue, seed: int, begun: bool) -> TrainingConfig:
    """Settings from a request's parameters, judged by the catalogue.

    `begun`: weights to begin with were given; only then can the backbone be frozen. Raises UserError, naming
    every field that can't be used.
    """
    try:
        given = TrainParameters.model_validate(parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    problems = validate_pair(catalogue, given.architecture, given.head)
    if not problems:
        architecture, head = _chosen(catalogue, given)
        problems = validate_parameters(
            architecture.parameters, given.architecture_parameters, "architecture_parameters."
        ) + validate_parameters(head.parameters, given.head_parameters, "head_parameters.")
    if problems:
        raise UserError(" ".join(f"{problem}." for problem in problems), "bad_parameters")
    values = with_defaults(head.parameters, given.head_parameters)
    recipe = float(values["recipe_learning_rate"])
    loop = {name: values[name] for name in LoopOptions.model_fields if name in values}
    return TrainingConfig(
        task=TASK_OF_CONSUMER[head.consumer],
        architecture=given.architecture,
        head=given.head,
        epochs=int(values["epochs"]),
        batch_size=int(values["batch_size"]),
        optimizer=values["optimizer"],
        patience=int(values.get("patience", 0)),
        seed=int(values.get("seed", seed)),
        backbone_rate=_rate(given.rates.backbone, recipe),
        head_rate=_rate(given.rates.head, recipe),
        validation_fraction=float(values["validation_fraction"]),
        input_size=_longer_side(given),
        thresholds=given.thresholds,
        freeze_backbone=begun and not given.tune_feature_extractor,
        augmentation=given.augmentation,
        loop=LoopOptions.model_validate(loop),
        options={name: value for name, value in values.items() if name not in (*COMMON, *loop)}
        | with_defaults(architecture.parameters, given.architecture_parameters),
    )


def check_class_weights(config: TrainingConfig, heads: Iterable[Head]) -> None:
    """Raise UserError where settings ask for class weights of a head that knows none."""
    takes = [one.id for one in heads if any(parameter.name == "class_weights" for parameter in one.parameters)]
    if config.loop.class_weights != "none" and config.head not in takes:
        others = f", or choose {', '.join(takes)}" if takes else ""
        raise UserError(
            f"class_weights = {config.loop.class_weights!r}: {config.head} does not weigh classes: leave it at 'none'"
            f"{others}.",
            "bad_parameters",
        )


def _chosen(catalogue: Catalogue, given: TrainParameters) -> tuple[Architecture, Head]:
    architecture = next(one for one in catalogue.architectures if one.id == given.architecture)
    return architecture, next(one for one in catalogue.heads if one.id == given.head)


def _rate(given: float, recipe: float) -> float:
    return recipe if given == FORM_RATE else given


def _longer_side(given: TrainParameters) -> int | None:
    if given.input_size is None:
        return None
    return multiple_of_32(max(given.input_size.width, given.input_size.height))


def multiple_of_32(pixels: float) -> int:
    """The next multiple of 32, at least 64."""
    return max(64, -(-int(pixels) // 32) * 32)
