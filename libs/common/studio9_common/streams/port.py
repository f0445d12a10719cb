"""Queues with a visibility time-out and topics that notify, as SQS and SNS define them.

Every adapter passes `tests/contract/streams`. A received message is invisible for `visibility_s` and comes again,
with a higher `receive_count`, unless it is deleted. Object-created events have the shape of S3's notifications
(`Records[].s3.bucket.name`, `.s3.object.key` URL-encoded, `.size`, `.eTag`, `.versionId`), raw or in SNS' envelope.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from studio9_common.errors import NotFound, Unavailable


class StreamsUnavailable(Unavailable):
    """The queue or topic service cannot be reached; the request is retried."""


class StreamMissing(NotFound):
    """There is no queue or topic with this name; create it, or correct the stream's configuration."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """`receipt` is valid for this receipt only; `receive_count` starts at 1."""

    id: str
    body: str
    receipt: str
    receive_count: int
    attributes: Mapping[str, str] = field(default_factory=dict)


class Streams(Protocol):
    """See the module's docstring."""

    async def ensure_queue(self, queue: str, *, visibility_s: int = 30, max_receives: int | None = None) -> None:
        """Creates the queue if it is missing. With `max_receives`, later receipts go to `<queue>-dead`."""
        ...

    async def ensure_topic(self, topic: str) -> None: ...

    async def subscribe(self, topic: str, queue: str) -> None:
        """Whatever is published to the topic is put into the queue, as the bare body (raw delivery)."""
        ...

    async def send(self, queue: str, body: str, attributes: Mapping[str, str] | None = None) -> str:
        """Returns the message's id once it is durable. At most 256 KiB."""
        ...

    async def publish(
        self, topic: str, body: str, *, subject: str = "", attributes: Mapping[str, str] | None = None
    ) -> str: ...

    async def receive(
        self, queue: str, *, limit: int = 10, wait_s: float = 0, visibility_s: int | None = None
    ) -> list[StreamMessage]:
        """Up to `limit` (1-10) messages; waits up to `wait_s` (0-20) for the first."""
        ...

    async def extend(self, queue: str, receipt: str, visibility_s: int) -> None:
        """Hides a received message for so many seconds from now."""
        ...

    async def delete(self, queue: str, receipts: Sequence[str]) -> None:
        """Removes received messages. Deleting one that is gone is harmless."""
        ...

    async def depth(self, queue: str) -> int:
        """Messages that are visible or in flight (approximate on SQS)."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
