"""Summaries of results, as experiments and predictions show them."""

from typing import Any

from studio9_baile.v2.wire.base import Answer


class Cell(Answer):
    """A count of the confusion matrix; indices into the labels."""

    actual: int | None = None
    predicted: int | None = None
    count: int


class Summary(Answer):
    labels: list[str]
    confusionMatrix: list[Cell] | None = None
    mAP: float | None = None
    reconstructionLoss: float | None = None


class Detail(Answer):
    time: int
    description: str


class TrainTimes(Answer):
    dataLoadingTime: int
    trainingTime: int
    modelSavingTime: int
    initialPredictionTime: int
    tasksQueuedTime: int
    totalJobTime: int
    pipelineDetails: list[Detail]


class EvaluationTimes(Answer):
    modelLoadingTime: int
    tasksQueuedTime: int
    totalJobTime: int
    dataLoadingTime: int
    scoreTime: int
    pipelineDetails: list[Detail]


class PredictionTimes(Answer):
    dataLoadingTime: int
    predictionTime: int
    modelLoadingTime: int
    tasksQueuedTime: int
    totalJobTime: int
    pipelineDetails: list[Detail]


class AugmentationTimes(Answer):
    augmentationTime: int
    tasksQueuedTime: int
    totalJobTime: int
    dataLoadingTime: int
    pipelineDetails: list[Detail]


class StepCount(Answer):
    """How many copies came of one augmentation, which is as it was posted, with its defaults."""

    augmentation: dict[str, Any]
    count: int


class StepResult(Answer):
    cvModelId: str
    output: str | None = None
    testOutput: str | None = None
    augmentedSampleAlbum: str | None = None
    summary: Summary | None = None
    testSummary: Summary | None = None
    augmentationSummary: list[StepCount] | None = None
    trainTimeSpentSummary: TrainTimes | None = None
    evaluationTimeSpentSummary: EvaluationTimes | None = None
    probabilityPredictionTableId: str | None = None
    testProbabilityPredictionTableId: str | None = None


class ExperimentResult(Answer):
    step1: StepResult
    step2: StepResult | None = None
