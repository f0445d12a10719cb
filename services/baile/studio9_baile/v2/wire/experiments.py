"""Experiments."""

from typing import Any, Literal

from pydantic import Field, model_validator

from studio9_baile.models.runs import Experiment, ExperimentStatus
from studio9_baile.usecases.pipeline import HEAD_FIELDS, STEPS, Copies, LabelOfInterest, Step
from studio9_baile.v2.wire.base import Answer, Body, Moment, Number, Whole
from studio9_baile.v2.wire.results import ExperimentResult


class ExperimentListItem(Answer):
    id: str
    name: str
    ownerId: str
    created: Moment
    updated: Moment
    description: str | None = None
    status: ExperimentStatus
    type: str

    @classmethod
    def of(cls, experiment: Experiment) -> "ExperimentListItem":
        return cls(**_common(experiment))


class ExperimentAnswer(ExperimentListItem):
    """The whole experiment."""

    pipeline: dict[str, Any]
    result: ExperimentResult | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> "ExperimentAnswer":
        result = None if experiment.result is None else ExperimentResult.model_validate(experiment.result)
        return cls(**_common(experiment), pipeline=experiment.pipeline, result=result)


def _common(experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "name": experiment.name,
        "ownerId": experiment.owner,
        "created": experiment.created_at,
        "updated": experiment.updated_at,
        "description": experiment.description,
        "status": experiment.status,
        "type": experiment.type,
    }


class LabelBody(Body):
    label: str
    threshold: Number

    def of_interest(self) -> LabelOfInterest:
        return LabelOfInterest(label=self.label, threshold=self.threshold)


class SizeBody(Body):
    width: Whole
    height: Whole


class TrainParamsBody(Body):
    inputSize: SizeBody | None = None
    loi: list[LabelBody] | None = None
    defaultVisualThreshold: Number | None = None
    iouThreshold: Number | None = None
    featureExtractorLearningRate: Number | None = None
    modelLearningRate: Number | None = None


class ModelTypeBody(Body):
    tlType: Literal["CLASSIFICATION", "LOCALIZATION", "AUTOENCODER"]
    classifierType: str | None = None
    detectorType: str | None = None
    decoderType: str | None = None

    @property
    def head(self) -> str | None:
        """The id of the consumer that the type needs."""
        found: str | None = getattr(self, HEAD_FIELDS[self.tlType])
        return found

    @model_validator(mode="after")
    def _consumer(self) -> "ModelTypeBody":
        if not self.head:
            raise ValueError(f"{HEAD_FIELDS[self.tlType]} is missing; a model of type {self.tlType} needs it")
        return self


class AugmentationBody(Body):
    augmentations: list[dict[str, Any]] | None = Field(default=None, max_length=100)
    bloatFactor: Whole | None = None
    prepareSampleAlbum: bool | None = None

    def copies(self) -> Copies:
        return Copies(
            augmentations=self.augmentations or (),
            bloat_factor=1 if self.bloatFactor is None else self.bloatFactor,
            sample=bool(self.prepareSampleAlbum),
        )


class StepBody(Body):
    """Unlike the form says, any part may come as null."""

    architecture: str | None = None
    featureExtractorParams: dict[str, Any] | None = None
    featureExtractorModelId: str | None = None
    tuneFeatureExtractor: bool | None = None
    modelType: ModelTypeBody
    params: dict[str, Any] | None = None
    input: str
    testInput: str | None = None
    augmentationOptions: AugmentationBody | None = None
    trainParams: TrainParamsBody | None = None

    def step(self, name: str = STEPS[0]) -> Step:
        train = self.trainParams or TrainParamsBody()
        return Step(
            name=name,
            architecture=self.architecture,
            architecture_parameters=self.featureExtractorParams or {},
            feature_extractor=self.featureExtractorModelId,
            tune=bool(self.tuneFeatureExtractor),
            tl_type=self.modelType.tlType,
            head=self.modelType.head or "",
            head_parameters=self.params or {},
            input=self.input,
            test_input=self.testInput,
            copies=self.augmentationOptions.copies() if self.augmentationOptions else None,
            width=train.inputSize.width if train.inputSize else None,
            height=train.inputSize.height if train.inputSize else None,
            # The form offers the pictures without labels like one more label, whose name is empty.
            labels=[one.of_interest() for one in train.loi or () if one.label],
            threshold=train.defaultVisualThreshold,
            iou=train.iouThreshold,
            backbone_rate=train.featureExtractorLearningRate,
            head_rate=train.modelLearningRate,
        )


class NewExperimentBody(Body):
    """`pipeline` is judged by its type, after that is known."""

    name: str | None = None
    description: str | None = None
    type: str
    pipeline: dict[str, Any]


class SecondStepBody(StepBody):
    """What trains on the model of the first step: it names no extractor of its own."""

    architecture: None = None
    featureExtractorParams: dict[str, Any] | None = Field(default=None, max_length=0)
    featureExtractorModelId: None = None


class PipelineBody(Body):
    step1: StepBody
    step2: SecondStepBody | None = None

    def steps(self) -> list[Step]:
        found = [self.step1.step()]
        return found if self.step2 is None else [*found, self.step2.step(STEPS[1])]
