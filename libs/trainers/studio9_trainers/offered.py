"""The parameters that heads of every framework publish, so that forms show the same few everywhere."""

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from studio9_task.catalogue import (
    BooleanParameter,
    FloatParameter,
    Head,
    IntParameter,
    ParameterDefinition,
    StringParameter,
)


def installed(package: str) -> str | None:
    """The version of a package of this environment; none where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def common_parameters(
    epochs: int = 25, batch_size: int = 8, rate: float = 0.002, optimizers: tuple[str, ...] = ("AdamW", "SGD")
) -> tuple[ParameterDefinition, ...]:
    """With the recipe's own defaults."""
    return (
        IntParameter(
            name="epochs", description="How often every picture is seen", defaults=(epochs,), min=1, max=3000, step=1
        ),
        IntParameter(name="batch_size", description="Pictures a step", defaults=(batch_size,), min=1, max=512, step=1),
        StringParameter(
            name="optimizer", description="How weights are moved", options=optimizers, defaults=optimizers[:1]
        ),
        IntParameter(
            name="patience",
            description="Epochs without a better validation before it ends; 0: never",
            defaults=(0,),
            min=0,
            max=3000,
            step=1,
        ),
        IntParameter(
            name="seed", description="Same seed, same model; left out: the job's own", min=0, max=2**31 - 1, step=1
        ),
        FloatParameter(
            name="recipe_learning_rate",
            description="The rate that both parts learn at unless the form's own rates are changed",
            defaults=(rate,),
            min=1e-7,
            max=1.0,
        ),
        FloatParameter(
            name="validation_fraction",
            description="Part of the training pictures that is held back to choose the best epoch",
            defaults=(0.1,),
            min=0.01,
            max=0.5,
        ),
    )


def query_head(
    own: Mapping[str, Any], head: str, name: str, architectures: Collection[str], queries: IntParameter, rate: float
) -> Head:
    """Of a detector with queries; `own` says which class of which package it is."""
    return Head(
        id=head,
        name=name,
        consumer="detector",
        architectures=tuple(architectures),
        parameters=(
            *common_parameters(epochs=25, batch_size=8, rate=rate, optimizers=("AdamW",)),
            *loop_parameters(clip_norm=0.1, weight_decay=1e-4),
            queries,
            mirror_parameter(),
            scale_parameter(0.05),
        ),
        **own,
    )


def loop_parameters(clip_norm: float = 0.0, weight_decay: float = 0.01) -> tuple[ParameterDefinition, ...]:
    """Of the loops that are ours; see LoopOptions."""
    return (
        StringParameter(
            name="schedule",
            description="How the rate falls",
            options=("cosine", "linear", "constant"),
            defaults=("cosine",),
        ),
        FloatParameter(name="warmup_epochs", description="Epochs in which the rate rises", defaults=(0.5,), min=0.0),
        FloatParameter(
            name="weight_decay", description="How weights are drawn to 0", defaults=(weight_decay,), min=0.0, max=1.0
        ),
        FloatParameter(
            name="clip_norm",
            description="The most that a step's gradients may measure; 0: no limit",
            defaults=(clip_norm,),
            min=0.0,
        ),
        IntParameter(
            name="accumulate", description="Batches that make one step", defaults=(1,), min=1, max=1024, step=1
        ),
        BooleanParameter(name="average", description="Deliver the moving average of the weights", defaults=(True,)),
        StringParameter(
            name="precision",
            description="auto: bf16 on accelerators that have it, else fp32",
            options=("auto", "fp32", "bf16", "fp16"),
            defaults=("auto",),
        ),
    )


def mirror_parameter() -> ParameterDefinition:
    """Off by default: text and digits must not be mirrored."""
    return FloatParameter(
        name="mirror",
        description="How often a picture is mirrored left to right; not for text",
        defaults=(0.0,),
        min=0.0,
        max=0.5,
    )


def scale_parameter(default: float = 0.2) -> ParameterDefinition:
    """How much sizes vary."""
    return FloatParameter(
        name="scale", description="How much a picture's size is varied", defaults=(default,), min=0.0, max=0.9
    )
