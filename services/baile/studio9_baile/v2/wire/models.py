"""CV models."""

from typing import Literal

from studio9_baile.models.learned import VersionStatus
from studio9_baile.usecases.models import SeenModel
from studio9_baile.usecases.pipeline import HEAD_FIELDS
from studio9_baile.v2.wire.base import Answer, Body, Moment

DETECTS = "LOCALIZATION"
LABEL_MODES = {"CLASSIFICATION": "CLASSIFICATION", "LOCALIZATION": "LOCALIZATION"}


class ModelType(Answer):
    """Which primitives a model is made of."""

    type: Literal["TL"] = "TL"
    tlType: str
    classifierType: str | None = None
    detectorType: str | None = None
    decoderType: str | None = None
    architecture: str
    labelMode: str | None = None


class ModelAnswer(Answer):
    id: str
    ownerId: str
    name: str
    created: Moment
    updated: Moment
    status: VersionStatus
    modelType: ModelType
    classes: list[str] | None = None
    featureExtractorModelId: str | None = None
    description: str | None = None
    experimentId: str | None = None
    inLibrary: bool

    @classmethod
    def of(cls, seen: SeenModel) -> "ModelAnswer":
        model, version = seen.model, seen.version
        kind = ModelType(
            tlType=version.tl_type,
            architecture=version.architecture,
            labelMode=LABEL_MODES.get(version.tl_type),
            **{HEAD_FIELDS[version.tl_type]: version.head},
        )
        return cls(
            id=model.id,
            ownerId=model.owner,
            name=model.name,
            created=model.created_at,
            updated=model.updated_at,
            status=version.status,
            modelType=kind,
            # The form of a prediction breaks on a detector without this list.
            classes=[] if version.labels is None and version.tl_type == DETECTS else version.labels,
            featureExtractorModelId=seen.extractor,
            description=model.description,
            experimentId=version.experiment,
            inLibrary=model.in_library,
        )


class RenameBody(Body):
    name: str | None = None
    description: str | None = None
