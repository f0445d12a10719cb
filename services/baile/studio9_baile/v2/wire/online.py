"""Online jobs."""

from typing import Literal

from studio9_baile.models.runs import Deployment
from studio9_baile.v2.wire.base import Answer, Body, Moment


class TargetAnswer(Answer):
    id: str
    type: Literal["CV_MODEL"] = "CV_MODEL"


class OnlineOptions(Answer):
    type: Literal["ONLINE_CV_PREDICTION"] = "ONLINE_CV_PREDICTION"
    inputBucketId: str
    inputImagesPath: str
    outputAlbumId: str


class OnlineJobAnswer(Answer):
    """The UI's edit form loses a description that is not shown, so it is."""

    id: str
    ownerId: str
    name: str
    status: Literal["RUNNING", "IDLE"]
    created: Moment
    updated: Moment
    enabled: bool
    target: TargetAnswer
    options: OnlineOptions
    description: str | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> "OnlineJobAnswer":
        return cls(
            id=deployment.id,
            ownerId=deployment.owner,
            name=deployment.name,
            status="RUNNING" if deployment.enabled else "IDLE",
            created=deployment.created_at,
            updated=deployment.updated_at,
            enabled=deployment.enabled,
            target=TargetAnswer(id=deployment.model),
            options=OnlineOptions(
                inputBucketId=deployment.bucket, inputImagesPath=deployment.prefix, outputAlbumId=deployment.output
            ),
            description=deployment.description,
        )


class TargetBody(Body):
    id: str
    type: Literal["CV_MODEL"]


class OnlineOptionsBody(Body):
    type: Literal["ONLINE_CV_PREDICTION"]
    inputBucketId: str
    inputImagesPath: str
    outputAlbumName: str | None = None


class NewOnlineJobBody(Body):
    name: str | None = None
    description: str | None = None
    target: TargetBody
    enabled: bool | None = None
    options: OnlineOptionsBody


class OnlineJobBody(Body):
    name: str | None = None
    description: str | None = None
    enabled: bool | None = None
