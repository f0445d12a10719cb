"""References to buckets, as the UI's forms send them."""

from pydantic import Field

from studio9_baile.usecases.buckets import BucketReference
from studio9_baile.v2.wire.base import Body, Whole


class BucketBody(Body):
    """One that the operator offers, or the user's own."""

    AWSS3BucketId: str | None = None
    AWSRegion: str | None = None
    AWSS3BucketName: str | None = None
    AWSAccessKey: str | None = None
    AWSSecretKey: str | None = None
    AWSSessionToken: str | None = None

    def reference(self) -> BucketReference:
        return BucketReference(
            id=self.AWSS3BucketId or None,
            region=self.AWSRegion,
            name=self.AWSS3BucketName,
            access_key=self.AWSAccessKey,
            secret_key=self.AWSSecretKey,
            session_token=self.AWSSessionToken,
        )


class PicturesBody(BucketBody):
    S3ImagesPath: str | None = None
    S3CSVPath: str | None = None


class LabelsBody(BucketBody):
    S3CSVPath: str | None = None


class VideoBody(BucketBody):
    S3VideoPath: str | None = None
    frameRateDivider: Whole | None = None


class PlaceBody(Body):
    s3Bucket: BucketBody
    path: str | None = None


class ImportBody(Body):
    """Where the files of a dataset come from: the form calls it `from`."""

    place: PlaceBody = Field(alias="from")


class ExportBody(Body):
    """Where they go."""

    to: PlaceBody
