"""Settings of Taurus (`STUDIO9_TAURUS_…`). Times are seconds."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from studio9_common.objects.settings import WithObjects
from studio9_common.streams.connect import StreamsSettings, open_streams
from studio9_common.streams.port import Streams


class TaurusSettings(WithObjects):
    """Where pictures arrive, and how they are gathered."""

    service: ClassVar[str] = "taurus"

    streams_url: str = Field("", description="aws://region for SQS and SNS; empty: a file in the state folder")
    sqs_endpoint: str | None = Field(None, description="address of an SQS server that is not AWS")
    sns_endpoint: str | None = Field(None, description="address of an SNS server that is not AWS")
    streams_access_key: str | None = Field(None, description="access key of queues and topics; empty: the machine's")
    streams_secret_key: SecretStr | None = Field(None, description="secret key of queues and topics")
    queue: str = Field("studio9-incoming", description="queue that hears of new objects in the watched buckets")
    topic: str = Field("studio9-predictions", description="topic of finished batches, where a stream names no other")
    create_queues: bool = Field(True, description="make the queue and the topic if they are missing")

    buckets_dir: Path | None = Field(None, description="watched buckets as folders below this one, instead of S3")
    source_endpoint: str | None = Field(None, description="address of the watched buckets' S3, if it is not AWS")
    source_region: str = Field("us-east-1", description="region of the watched buckets")
    source_access_key: str | None = Field(None, description="access key of the watched buckets; empty: the machine's")
    source_secret_key: SecretStr | None = Field(None, description="secret key of the watched buckets")

    visibility_s: int = Field(60, ge=10, le=43_200, description="how long a message in hand is hidden from others")
    quiet_s: float = Field(1.0, ge=0, description="a batch is closed when nothing has come for so long")
    unmatched_s: float = Field(120.0, ge=1, description="how long a picture waits for a stream that wants it")
    paused_s: int = Field(
        30,
        ge=1,
        le=43_200,
        description="how often a picture of a stream that is switched off is looked at again; it waits as long as the "
        "queue keeps it (SQS: 4 days unless the queue says more, at most 14; give the queue no redrive policy)",
    )
    bad_receives: int = Field(5, ge=1, description="a message that cannot be read is set aside after so many tries")
    republish_s: float = Field(5.0, gt=0, description="how long to wait for job.accepted before asking again")
    sweep_s: float = Field(10.0, gt=0, description="how often unfinished batches of other processes are looked for")
    stale_s: float = Field(300.0, gt=0, description="an unfinished batch untouched for so long has lost its process")
    max_picture: int = Field(64 << 20, ge=1, description="bytes of one picture")
    max_pixels: int = Field(178_956_970, ge=1, description="pixels of one picture")

    def open_streams(self) -> Streams:
        """The queues and topics. Raises BadInput."""
        url = self.streams_url or f"file://{(self.state_dir / 'streams.sqlite').absolute()}"
        return open_streams(
            StreamsSettings(
                url=url,
                sqs_endpoint=self.sqs_endpoint,
                sns_endpoint=self.sns_endpoint,
                access_key=self.streams_access_key,
                secret_key=self.streams_secret_key,
            )
        )
