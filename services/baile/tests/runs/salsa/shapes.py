"""The answers that the UI reads, field by field: written from the contract alone, and strict. Nothing here is shared
with the code under test."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter


def _milliseconds(text: str) -> str:
    parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    assert len(text) == 24, "milliseconds, and Z"
    return parsed.isoformat()


Id = Annotated[str, Field(pattern=r"^[\w-]+$")]
Time = Annotated[str, AfterValidator(_milliseconds)]
Url = Annotated[str, Field(pattern=r"^https?://")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
LabelMode = Literal["CLASSIFICATION", "LOCALIZATION"]


class Shape(BaseModel):
    """Exactly these fields, of exactly these types; what is optional is left out, never null."""

    model_config = ConfigDict(extra="forbid", strict=True)


Item = TypeVar("Item")


class Listed(Shape, Generic[Item]):
    data: list[Item]
    count: Count


class User(Shape):
    id: Id
    username: str
    email: str
    firstName: str
    lastName: str
    status: Literal["ACTIVE", "INACTIVE", "DEACTIVATED"]
    created: Time
    updated: Time
    role: Literal["ADMIN", "USER"]


class Stats(Shape):
    tablesCount: Count
    flowsCount: Literal[0]
    modelsCount: Count
    projectsCount: Count
    cvModelsCount: Count
    albumsCount: Count
    binaryDatasetsCount: Count
    pipelinesCount: Count
    experimentsCount: Count
    cvPredictionsCount: Count
    tabularPredictionsCount: Count
    dcProjectsCount: Count


class Parameter(Shape):
    name: str
    description: str = ""
    multiple: bool
    type: Literal["int", "float", "boolean", "string", "assetReference"]
    conditions: dict[str, dict[str, Any]] = {}
    options: list[Any] = []
    defaults: list[Any] = []
    min: float = 0
    max: float = 0
    step: float = 0
    assetType: str = ""


class Primitive(Shape):
    id: Id
    name: str
    moduleName: str
    className: str
    packageName: str
    packageVersion: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+")] = "1.0.0"
    params: Annotated[list[Parameter], Field(min_length=1)] = []


class Consumer(Primitive):
    isNeural: bool


class Augmentation(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    augmentationType: str
    bloatFactor: Annotated[int, Field(ge=1)]


class Video(Shape):
    filepath: Url
    filename: str
    filesize: Count


class Detail(Shape):
    time: Count
    description: str


class AugmentationTimes(Shape):
    augmentationTime: Count
    tasksQueuedTime: Count
    totalJobTime: Count
    dataLoadingTime: Count
    pipelineDetails: list[Detail]


class Album(Shape):
    id: Id
    ownerId: Id
    name: str
    created: Time
    updated: Time
    status: Literal["ACTIVE", "SAVING", "UPLOADING", "ERROR"]
    inLibrary: bool
    type: Literal["SOURCE", "DERIVED", "TRAINRESULTS"]
    locked: Literal[False]
    labelMode: LabelMode
    video: Video | None = Field(default=None)
    description: str = ""
    augmentationTimeSpentSummary: AugmentationTimes | None = Field(default=None)


class Area(Shape):
    top: int
    left: int
    height: int
    width: int


class Tag(Shape):
    label: str
    area: Area
    """All seeded albums with tags are of the kind where every tag has one."""


class PredictedTag(Tag):
    confidence: Fraction


class Label(Shape):
    """A tag in an album of the other kind."""

    label: str


class PredictedLabel(Label):
    confidence: Fraction


class _Picture(Shape):
    id: Id
    albumId: Id
    filepath: Url
    filename: str
    filesize: Count
    caption: str = ""
    predictedCaption: str = ""
    originalPictureId: Id = ""
    augmentationsApplied: list[dict[str, Any]] = []


class Picture(_Picture):
    tags: list[Tag]
    predictedTags: list[PredictedTag]


class ClassifiedPicture(_Picture):
    tags: list[Label]
    predictedTags: list[PredictedLabel]


class LabelCount(Shape):
    label: str
    count: Count


class ModelType(Shape):
    type: Literal["TL"]
    tlType: Literal["CLASSIFICATION", "LOCALIZATION", "AUTOENCODER"]
    classifierType: str = ""
    detectorType: str = ""
    decoderType: str = ""
    architecture: str
    labelMode: LabelMode = "LOCALIZATION"


class Model(Shape):
    id: Id
    ownerId: Id
    name: str
    created: Time
    updated: Time
    status: Literal["SAVING", "ACTIVE", "TRAINING", "PENDING", "PREDICTING", "ERROR", "CANCELLED"]
    modelType: ModelType
    classes: list[str] = []
    featureExtractorModelId: Id = ""
    description: str = ""
    experimentId: Id = ""
    inLibrary: bool


class Cell(Shape):
    actual: Count = 0
    predicted: Count = 0
    count: Annotated[int, Field(ge=1)]


class Summary(Shape):
    labels: list[str]
    confusionMatrix: list[Cell] = []
    mAP: Fraction = 0.0
    reconstructionLoss: float = 0.0


class TrainTimes(Shape):
    dataLoadingTime: Count
    trainingTime: Count
    modelSavingTime: Count
    initialPredictionTime: Count
    tasksQueuedTime: Count
    totalJobTime: Count
    pipelineDetails: list[Detail]


class EvaluationTimes(Shape):
    modelLoadingTime: Count
    tasksQueuedTime: Count
    totalJobTime: Count
    dataLoadingTime: Count
    scoreTime: Count
    pipelineDetails: list[Detail]


class PredictionTimes(Shape):
    dataLoadingTime: Count
    predictionTime: Count
    modelLoadingTime: Count
    tasksQueuedTime: Count
    totalJobTime: Count
    pipelineDetails: list[Detail]


class Augmented(Shape):
    augmentation: Augmentation
    count: Count


class StepResult(Shape):
    cvModelId: Id
    output: Id = ""
    testOutput: Id = ""
    augmentedSampleAlbum: Id = ""
    summary: Summary | None = Field(default=None)
    testSummary: Summary | None = Field(default=None)
    augmentationSummary: list[Augmented] = []
    trainTimeSpentSummary: TrainTimes | None = Field(default=None)
    evaluationTimeSpentSummary: EvaluationTimes | None = Field(default=None)
    probabilityPredictionTableId: Id = ""
    testProbabilityPredictionTableId: Id = ""


class Result(Shape):
    step1: StepResult
    step2: StepResult | None = Field(default=None)


class ExperimentItem(Shape):
    id: Id
    name: str
    ownerId: Id
    created: Time
    updated: Time
    description: str = ""
    status: Literal["RUNNING", "COMPLETED", "ERROR", "CANCELLED"]
    type: Literal["CVTLTrain"]


class Experiment(ExperimentItem):
    pipeline: dict[str, dict[str, Any]]
    result: Result | None = Field(default=None)


class Prediction(Shape):
    id: Id
    ownerId: Id
    name: str
    status: Literal["NEW", "RUNNING", "ERROR", "DONE"]
    created: Time
    updated: Time
    modelId: Id
    input: Id
    output: Id
    probabilityPredictionTableId: Id = ""
    summary: Summary | None = Field(default=None)
    description: str = ""
    predictionTimeSpentSummary: PredictionTimes | None = Field(default=None)
    evaluationTimeSpentSummary: EvaluationTimes | None = Field(default=None)


class Target(Shape):
    id: Id
    type: Literal["CV_MODEL"]


class OnlineOptions(Shape):
    type: Literal["ONLINE_CV_PREDICTION"]
    inputBucketId: str
    inputImagesPath: str
    outputAlbumId: Id


class OnlineJob(Shape):
    id: Id
    ownerId: Id
    name: str
    status: Literal["RUNNING", "IDLE"]
    created: Time
    updated: Time
    enabled: bool
    target: Target
    options: OnlineOptions
    description: str = ""


class Process(Shape):
    id: Id
    target: Literal["ALBUM", "CV_MODEL", "EXPERIMENT", "CV_PREDICTION", "DATASET"]
    targetId: Id
    status: Literal["QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
    progress: Fraction
    estimate: Count = 0
    created: Time
    started: Time = ""
    completed: Time = ""
    cause: str = ""
    jobType: Literal[
        "S3_VIDEO_IMPORT", "S3_IMAGES_IMPORT", "ALBUM_AUGMENTATION", "CV_MODEL_TRAIN", "CV_MODEL_EVALUATE",
        "CV_MODEL_PREDICT", "CV_MODEL_IMPORT", "MERGE_ALBUM", "DATASET_IMPORT", "DATASET_EXPORT",
    ]  # fmt: skip


class Folder(Shape):
    id: Id
    path: str


class Project(Shape):
    id: Id
    name: str
    created: Time
    updated: Time
    ownerId: Id
    folders: list[Folder]


class Share(Shape):
    id: Id
    ownerId: Id
    name: str = ""
    created: Time
    updated: Time
    recipientId: Id = ""
    recipientEmail: str = ""
    assetType: str
    assetId: Id


class Dataset(Shape):
    id: Id
    ownerId: Id
    name: str
    created: Time
    updated: Time
    status: Literal["IDLE", "IMPORTING", "EXPORTING", "ERROR"]
    description: str = ""


class File(Shape):
    filename: str
    filepath: Url
    filesize: Count
    modified: Time


class Column(Shape):
    name: str
    displayName: str
    dataType: Literal["STRING", "INTEGER", "BOOLEAN", "DOUBLE", "LONG", "TIMESTAMP"]
    variableType: Literal["CONTINUOUS", "CATEGORICAL"]
    align: Literal["LEFT", "RIGHT", "CENTER"]


class Table(Shape):
    id: Id
    ownerId: Id
    datasetId: Id
    name: str
    status: Literal["SAVING", "ACTIVE", "INACTIVE", "ERROR"]
    datasetType: Literal["SOURCE", "DERIVED"]
    created: Time
    updated: Time
    description: str = ""
    inLibrary: bool
    columns: list[Column]


class Bin(Shape):
    count: Count
    min: float = 0
    max: float = 0
    value: str | float = ""


class ColumnStats(Shape):
    columnName: str
    min: float = 0
    max: float = 0
    avg: float = 0
    std: float = 0
    stdPopulation: float = 0
    median: float = 0
    uniqueCount: Count = 0
    mostFrequentValue: str | float = ""
    histogram: list[Bin] = []


class TableStats(Shape):
    id: Id
    status: Literal["PENDING", "ERROR", "DONE"]
    stats: list[ColumnStats]


class Bucket(Shape):
    id: Id
    name: str


class Error(Shape):
    code: int
    message: Annotated[str, Field(min_length=1)]
    errors: list[dict[str, str]]


def check(shape: Any, answer: Any) -> None:
    """Raises ValidationError where an answer is not of the shape."""
    TypeAdapter(shape).validate_python(answer)
