"""The settings of a service that uses the object storage: `STUDIO9_OBJECTS_URL` and its companions."""

from pydantic import Field, SecretStr

from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.port import Objects
from studio9_common.settings import ServiceSettings


class WithObjects(ServiceSettings):
    """Adds the storage profile; `open_objects()` opens it."""

    objects_url: str = Field("", description="file:///folder, s3://bucket/prefix, gs://… or az://account/container")
    objects_public_url: str | None = Field(None, description="where users reach the objects, if elsewhere")
    objects_endpoint: str | None = Field(None, description="address of an S3 server that is not AWS")
    objects_region: str = Field("us-east-1", description="region of the bucket")
    objects_access_key: str | None = Field(None, description="access key; empty: what the machine itself has")
    objects_secret_key: SecretStr | None = Field(None, description="secret key")

    def open_objects(self) -> Objects:
        """The adapter for `objects_url`. Raises BadInput."""
        return open_objects(
            ObjectsSettings(
                url=self.objects_url,
                public_url=self.objects_public_url,
                endpoint=self.objects_endpoint,
                region=self.objects_region,
                access_key=self.objects_access_key,
                secret_key=self.objects_secret_key,
            )
        )
