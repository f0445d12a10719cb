"""Opens the queues and topics that the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import boto3
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from studio9_common.errors import BadInput
from studio9_common.streams.aws import AwsStreams
from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.port import Streams


class StreamsSettings(BaseModel):
    """Where online pictures come from and results go. Credentials left out mean those of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="file:///folder/streams.sqlite, or aws://region for SQS and SNS")
    sqs_endpoint: str | None = Field(default=None, description="address of an SQS server that is not AWS")
    sns_endpoint: str | None = Field(default=None, description="address of an SNS server that is not AWS")
    access_key: str | None = Field(default=None, description="access key")
    secret_key: SecretStr | None = Field(default=None, description="secret key")
    session_token: SecretStr | None = Field(default=None, description="token of temporary credentials")


def open_streams(settings: StreamsSettings) -> Streams:
    """The adapter for the URL's scheme. Raises BadInput for another scheme or an incomplete URL."""
    parts = urlsplit(settings.url)
    if parts.scheme == "file" and parts.path:
        return EmbeddedStreams(Path(unquote(parts.path)))
    if parts.scheme == "aws" and parts.netloc:
        session = boto3.Session(
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key.get_secret_value() if settings.secret_key else None,
            aws_session_token=settings.session_token.get_secret_value() if settings.session_token else None,
            region_name=parts.netloc,
        )
        return AwsStreams(
            session,
            region=parts.netloc,
            sqs_endpoint=settings.sqs_endpoint,
            sns_endpoint=settings.sns_endpoint,
        )
    raise BadInput(
        "this is no address of queues",
        field="streams.url",
        value=settings.url,
        fix="write file:///folder/streams.sqlite or aws://region",
    )
