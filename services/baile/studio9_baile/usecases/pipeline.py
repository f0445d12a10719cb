"""Reading an experiment's pipeline: from Salsa's form to the parameters of a training, or to a clear refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from studio9_baile.models.pictures import LabelMode
from studio9_baile.usecases.augmenting import read_steps
from studio9_baile.usecases.shapes import LONGEST_LABEL
from studio9_common.errors import BadInput
from studio9_task.catalogue import Architecture, Catalogue, Head
from studio9_task.parameters import Rates, Size, Thresholds, TrainAugmentation, TrainParameters
from studio9_task.problems import Problem, shown
from studio9_task.validate import validate_pair, validate_parameters

TYPE = "CVTLTrain"
STEPS = ("step1", "step2")
"""The second, where there is one, begins with what the first has trained."""
CONSUMERS = {"CLASSIFICATION": "classifier", "LOCALIZATION": "detector", "AUTOENCODER": "decoder"}
"""The catalogue's word for what each of Salsa's types of model needs."""
HEAD_FIELDS = {"CLASSIFICATION": "classifierType", "LOCALIZATION": "detectorType", "AUTOENCODER": "decoderType"}
"""Where a request names it."""
SIZES = range(64, 4096 + 1, 32)
"""Pixels. Trainers scale a picture's longer side to a multiple of 32, at least 64."""
LABEL_MODES = {"CLASSIFICATION": LabelMode.CLASSIFICATION, "LOCALIZATION": LabelMode.LOCALIZATION}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOfInterest:
    """A label with its own threshold."""

    label: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Augmented copies to train on as the form posts them; `sample`: an album shows some of them."""

    augmentations: Sequence[Mapping[str, Any]]
    bloat_factor: int = 1
    sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a pipeline as the form posts it. `name` is one of STEPS."""

    name: str = STEPS[0]
    architecture: str | None = None
    architecture_parameters: Mapping[str, Any]
    feature_extractor: str | None = None
    tune: bool = False
    tl_type: str
    head: str
    head_parameters: Mapping[str, Any]
    input: str
    test_input: str | None = None
    copies: Copies | None = None
    width: int | None = None
    height: int | None = None
    labels: Sequence[LabelOfInterest] = ()
    threshold: float | None = None
    iou: float | None = None
    backbone_rate: float | None = None
    head_rate: float | None = None

    @property
    def place(self) -> str:
        """Where a request has it; refusals name its fields as they were sent."""
        return f"pipeline.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be trained. `label_mode` None: any album will do."""

    architecture: Architecture
    head: Head
    parameters: TrainParameters
    label_mode: LabelMode | None


def plan(step: Step, catalogue: Catalogue, extractor: str | None = None) -> Plan:
    """The training that a step asks for; `extractor` is the architecture of the model that it begins with, if it names
    one in place of an architecture. Raises BadInput, naming field and fix."""
    begun = step.architecture is None and extractor is not None
    if begun:
        step = replace(step, architecture=extractor)
    if step.architecture is None:
        raise BadInput(
            "Pipeline parameter: [architecture] not found", field=f"{step.place}.architecture", fix="choose one"
        )
    architecture, head = _pair(step, catalogue)
    if catalogue.needs_code(head.framework):
        raise BadInput(
            f"{head.id} trains with code of your own, which this form cannot send",
            field=f"{step.place}.modelType.{HEAD_FIELDS[step.tl_type]}",
            value=head.id,
            fix="train it through POST /v1/models/{model}/train, or choose another",
        )
    if begun and not _begins_with_models(catalogue, head.framework):
        raise BadInput(
            f"Training on an existing model with {head.framework} is not offered yet",
            field=f"{step.place}.featureExtractorModelId",
            fix="give an architecture",
        )
    if not begun and not head.neural:
        raise BadInput(
            f"{head.id} learns on the features of a trained model alone",
            field=f"{step.place}.modelType.{HEAD_FIELDS[step.tl_type]}",
            value=head.id,
            fix="choose a feature extractor, or make it the second step",
        )
    problems = validate_parameters(
        architecture.parameters, step.architecture_parameters, f"{step.place}.featureExtractorParams."
    ) + validate_parameters(head.parameters, step.head_parameters, f"{step.place}.params.")
    if problems:
        raise refusal(problems)
    try:
        parameters = TrainParameters(
            architecture=architecture.id,
            head=head.id,
            architecture_parameters=_given(step.architecture_parameters),
            head_parameters=_given(step.head_parameters),
            input_size=_size(step),
            rates=_rates(step),
            thresholds=thresholds(step.threshold, step.iou, step.labels, f"{step.place}.trainParams."),
            # With an architecture the backbone is trained, whatever the flag says: the form always sends it.
            tune_feature_extractor=step.tune if begun else True,
            augmentation=_copies(step),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            "Pipeline parameters are invalid", field=f"{step.place}.{where}", fix=str(first["msg"])
        ) from None
    return Plan(architecture=architecture, head=head, parameters=parameters, label_mode=LABEL_MODES.get(step.tl_type))


def _begins_with_models(catalogue: Catalogue, framework: str) -> bool:
    """Whether a framework's training takes the weights of a model to begin with."""
    return any(
        task.kind == "train" and task.framework == framework and any(one.holds == "model" for one in task.inputs)
        for task in catalogue.tasks
    )


def _pair(step: Step, catalogue: Catalogue) -> tuple[Architecture, Head]:
    if not catalogue.heads:
        raise BadInput(
            "Nothing can be trained yet: no worker has told what it can do", field=step.place, fix="start a worker"
        )
    assert step.architecture is not None
    wanted = CONSUMERS[step.tl_type]
    offered = sorted({one.consumer for one in catalogue.heads})
    where = {
        "architecture": f"{step.place}.architecture",
        "head": f"{step.place}.modelType.{HEAD_FIELDS[step.tl_type]}",
    }
    if wanted not in offered:
        raise BadInput(
            f"No {wanted} can be trained here",
            field=f"{step.place}.modelType.tlType",
            value=step.tl_type,
            fix=f"train a {' or a '.join(offered)}, or add a worker whose trainers bring a {wanted}",
        )
    problems = validate_pair(catalogue, step.architecture, step.head)
    if problems:
        raise refusal([one.model_copy(update={"field": where[one.field]}) for one in problems])
    head = next(one for one in catalogue.heads if one.id == step.head)
    if head.consumer != wanted:
        fitting = [one.id for one in catalogue.heads if one.consumer == wanted]
        raise BadInput(
            f"{head.id} is a {head.consumer}",
            field=where["head"],
            value=head.id,
            fix=f"for {step.tl_type} use {', '.join(fitting)}",
        )
    return next(one for one in catalogue.architectures if one.id == step.architecture), head


def thresholds(
    confidence: float | None,
    iou: float | None,
    labels: Sequence[LabelOfInterest],
    prefix: str,
    base: Thresholds | None = None,
) -> Thresholds:
    """Thresholds with what is given over `base`. Raises BadInput."""
    given: dict[str, Any] = (base or Thresholds()).model_dump()
    if confidence is not None:
        given["confidence"] = confidence
    if iou is not None:
        given["iou"] = iou
    if labels:
        given["labels"] = {one.label: one.threshold for one in labels}
    for name, value in (("defaultVisualThreshold", confidence), ("iouThreshold", iou)):
        if value is not None and not 0 < value < 1:
            raise BadInput("Threshold is out of range", field=f"{prefix}{name}", value=value, fix="0 < value < 1")
    for number, one in enumerate(labels):
        if not 1 <= len(one.label) <= LONGEST_LABEL:
            raise BadInput(
                "Label of interest is invalid",
                field=f"{prefix}loi.{number}.label",
                value=shown(one.label),
                fix=f"give a text of 1 to {LONGEST_LABEL} characters",
            )
        if not 0 < one.threshold < 1:
            raise BadInput(
                "Threshold is out of range",
                field=f"{prefix}loi.{number}.threshold",
                value=one.threshold,
                fix="0 < value < 1",
            )
    return Thresholds.model_validate(given)


def refusal(problems: Sequence[Problem]) -> BadInput:
    """The refusal for what the catalogue finds wrong: all in the message, the first as the field."""
    first = problems[0]
    rest = "".join(f"; {problem}" for problem in problems[1:4])
    return BadInput(f"Pipeline parameters are invalid{rest}", field=first.field, value=first.value, fix=first.fix)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _copies(step: Step) -> TrainAugmentation | None:
    if step.copies is None or not step.copies.augmentations:
        return None
    given = step.copies
    read = read_steps(given.augmentations, given.bloat_factor, True, f"{step.place}.augmentationOptions.")
    return TrainAugmentation(
        augmentations=read.augmentations, bloat_factor=read.bloat_factor, prepare_sample=given.sample
    )


def _size(step: Step) -> Size | None:
    if step.width is None or step.height is None:
        return None
    where = f"{step.place}.trainParams.inputSize"
    for name, value in (("width", step.width), ("height", step.height)):
        if value not in SIZES:
            nearest = min(SIZES[-1], max(SIZES[0], -(-value // SIZES.step) * SIZES.step))
            raise BadInput(
                "Input size cannot be used",
                field=f"{where}.{name}",
                value=value,
                fix=f"give a multiple of {SIZES.step} from {SIZES[0]} to {SIZES[-1]}, as {nearest}",
            )
    if step.width != step.height:
        raise BadInput(
            "Input size cannot be used",
            field=f"{where}.height",
            value=step.height,
            fix=f"give {step.width} as the width: pictures are scaled by their longer side and keep their form",
        )
    return Size(width=step.width, height=step.height)


def _rates(step: Step) -> Rates:
    given = {}
    for name, field, value in (
        ("backbone", "featureExtractorLearningRate", step.backbone_rate),
        ("head", "modelLearningRate", step.head_rate),
    ):
        if value is None:
            continue
        if not 0 < value <= 1:
            raise BadInput(
                "Learning rate is out of range",
                field=f"{step.place}.trainParams.{field}",
                value=value,
                fix="0 < value ≤ 1",
            )
        given[name] = value
    return Rates(**given)
