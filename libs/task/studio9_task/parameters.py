"""The parameters of the task kinds that are known now, as a request carries them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from studio9_task.augmentations import Step
from studio9_task.model import Contract, Label
from studio9_task.tiles import Sliced


class Size(Contract):
    """Pixels."""

    width: int = Field(ge=32, le=4096)
    height: int = Field(ge=32, le=4096)


class Thresholds(Contract):
    """From which confidence a box counts, and how much boxes of one object may overlap.

    `labels` gives single labels their own confidence; where it is not empty, only its labels are predicted
    (they are the labels of interest).
    """

    confidence: float = Field(default=0.25, gt=0, lt=1)
    iou: float = Field(
        default=0.45, gt=0, lt=1, description="of two boxes of one label, the weaker is dropped above it"
    )
    labels: Mapping[Label, float] = Field(default_factory=dict)
    max_boxes: int = Field(default=300, ge=1, le=3000, description="per picture")


class Rates(Contract):
    """Learning rates as the user gave them; 1e-4, the form's default, means the recipe's own."""

    backbone: float = Field(default=1e-4, gt=0, le=1)
    head: float = Field(default=1e-4, gt=0, le=1)


class TrainAugmentation(Contract):
    """Copies of the pictures to fit to, made after validation pictures were held back."""

    augmentations: tuple[Step, ...] = Field(min_length=1, max_length=100)
    bloat_factor: int = Field(default=1, ge=1)
    prepare_sample: bool = Field(default=False, description="announce some of the copies, and `augmented.jsonl`")


class TrainParameters(Contract):
    """Kind `train`. Inputs: `train`, and where there are some `val`, `test`, `model` (weights to begin with).

    `architecture_parameters` and `head_parameters` hold the values of what the catalogue defines for the two.
    """

    architecture: str = Field(min_length=1, max_length=100)
    head: str = Field(min_length=1, max_length=100)
    architecture_parameters: Mapping[str, Any] = Field(default_factory=dict)
    head_parameters: Mapping[str, Any] = Field(default_factory=dict)
    input_size: Size | None = Field(default=None, description="none: the recipe decides from the pictures")
    rates: Rates = Rates()
    thresholds: Thresholds = Thresholds()
    tune_feature_extractor: bool = True
    augmentation: TrainAugmentation | None = None


class EvaluateParameters(Contract):
    """Kind `evaluate`. Inputs: `model`, `test`."""

    thresholds: Thresholds | None = Field(default=None, description="none: those stored with the model")
    sliced: Sliced | None = Field(default=None, description="none: each picture is looked at as a whole")


class PredictParameters(Contract):
    """Kind `predict`. Inputs: `model`, `predict`."""

    thresholds: Thresholds | None = Field(default=None, description="none: those stored with the model")
    sliced: Sliced | None = Field(default=None, description="none: each picture is looked at as a whole")


ExportFormat = Literal["safetensors", "onnx", "openvino", "torchscript", "fp16", "int8", "tensorrt"]


class ExportParameters(Contract):
    """Kind `export`. Inputs: `model`, and where there is one `test`: labelled pictures to compare and calibrate on."""

    formats: tuple[ExportFormat, ...] = Field(default=("onnx",), min_length=1)
    name: str = Field(default="model", max_length=200, description="the model's name on its card")
    licence: str = Field(default="not stated", max_length=200)
    parents: tuple[str, ...] = Field(default=(), description="ids of the models and data sets that it came from")
