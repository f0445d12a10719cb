"""Opens the object storage that the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.store import AzureStore, GCSStore
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from studio9_common.errors import BadInput
from studio9_common.objects.cloud import CLIENT, RETRY, CloudObjects
from studio9_common.objects.local import LocalObjects
from studio9_common.objects.port import Objects
from studio9_common.objects.s3 import s3_objects
from studio9_common.objects.s3_url import Credentials, Location

if TYPE_CHECKING:
    from obstore.store import AzureConfig, GCSConfig

BAILE = "http://127.0.0.1:20016/objects"
"""Where the signed URLs of a local folder point unless the settings say otherwise."""


class ObjectsSettings(BaseModel):
    """One storage profile. Credentials left out mean those that the machine itself has (a role, a key file)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://account/container")
    profile: str = Field(default="default", description="the profile's name, remembered beside every key")
    public_url: str | None = Field(
        default=None, description="where users reach it: Baile's /objects for a folder, the endpoint for S3 if not ours"
    )
    endpoint: str | None = Field(default=None, description="address of an S3 server that is not AWS")
    region: str = Field(default="us-east-1", description="region of an S3 bucket")
    access_key: str | None = Field(default=None, description="access key of S3")
    secret_key: SecretStr | None = Field(default=None, description="secret key of S3, or key of an Azure account")
    session_token: SecretStr | None = Field(default=None, description="token of temporary S3 credentials")
    credentials_file: Path | None = Field(default=None, description="service account file of Google Cloud")


def open_objects(settings: ObjectsSettings) -> Objects:
    """The adapter for the URL's scheme. Raises BadInput for another scheme or an incomplete URL."""
    parts = urlsplit(settings.url)
    prefix = parts.path.strip("/")
    kind = parts.scheme
    if kind == "file" and parts.path:
        return LocalObjects(Path(unquote(parts.path)), base_url=settings.public_url or BAILE, profile=settings.profile)
    if kind == "s3" and parts.netloc:
        return _s3(settings, parts.netloc, prefix)
    if kind == "gs" and parts.netloc:
        bucket = GCSStore(
            parts.netloc, prefix=prefix or None, config=_gcs(settings), client_options=CLIENT, retry_config=RETRY
        )
        return CloudObjects(bucket, profile=settings.profile)
    if kind == "az" and parts.netloc and prefix:
        container, _, below = prefix.partition("/")
        azure = _azure(settings, parts.netloc)
        blobs = AzureStore(container, prefix=below or None, config=azure, client_options=CLIENT, retry_config=RETRY)
        return CloudObjects(blobs, profile=settings.profile)
    raise BadInput(
        "this is no address of an object storage",
        field="objects.url",
        value=settings.url,
        fix="write file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://account/container",
    )


def _s3(settings: ObjectsSettings, bucket: str, prefix: str) -> Objects:
    credentials = None
    if settings.access_key and settings.secret_key:
        token = settings.session_token.get_secret_value() if settings.session_token else None
        credentials = Credentials(settings.access_key, settings.secret_key.get_secret_value(), token)
    return s3_objects(
        Location(bucket, settings.region, settings.endpoint),
        credentials=credentials,
        prefix=prefix,
        profile=settings.profile,
        public_endpoint=settings.public_url,
    )


def _gcs(settings: ObjectsSettings) -> "GCSConfig":
    return {"service_account": str(settings.credentials_file)} if settings.credentials_file else {}


def _azure(settings: ObjectsSettings, account: str) -> "AzureConfig":
    config: AzureConfig = {"account_name": account}
    if settings.secret_key:
        config["account_key"] = settings.secret_key.get_secret_value()
    return config
