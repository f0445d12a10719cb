"""What the bus promises, and no more: at-least-once delivery, no order across redelivery, publisher confirms, the
return of unroutable messages, prefetch, redelivery after a consumer is lost, a count of failures, dead letters, a
ladder of delays, expiry, and single active consumer.

Every adapter passes `tests/contract/bus`. There is one topic exchange; queues bind patterns of routing keys
(words separated by dots; `*` is one word, `#` any number). A queue's name ends in a version (`orion.jobs.v1`)
because a queue's arguments cannot be changed once it exists.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from studio9_common.errors import Studio9Error, Unavailable

DELAYS_S: tuple[int, ...] = (1, 5, 30, 300)
"""The rungs of the delay ladder, in seconds. A delay is rounded up to the next rung, or down to the last."""

FAILURE_LIMIT = 20
"""After so many failures while its dependencies were healthy a message is dead-lettered."""


class BusUnavailable(Unavailable):
    """The message broker cannot be reached; the connection is retried, and nothing unconfirmed counts as sent."""


class Unroutable(Studio9Error):
    """No queue is bound to this message's routing key; the receiver is gone or was never declared."""

    code = "unroutable"


class QueueGone(Studio9Error):
    """The queue does not exist (any more); declare it again before consuming."""

    code = "queue_gone"


class QueueMismatch(Studio9Error):
    """A queue of this name exists with other arguments; give the changed queue the next version in its name."""

    code = "queue_mismatch"


class BadMessage(Studio9Error):
    """This message cannot be read and never will be; it is dead-lettered with this reason, not tried again."""

    code = "bad_message"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and what it receives.

    `former`: bindings that earlier releases gave it, and that are taken away where it is declared.
    `expires_s`: the queue is removed after so many seconds without a consumer (a worker's own queue).
    `transient`: its messages may be lost with the broker (beats, leases, progress).
    `message_ttl_s`: a message not taken within that time vanishes.
    `single_active`: only one consumer at a time receives; the next takes over when it is lost.
    """

    name: str
    bindings: tuple[str, ...] = ()
    expires_s: int | None = None
    transient: bool = False
    message_ttl_s: int | None = None
    single_active: bool = False
    former: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if both := set(self.bindings) & set(self.former):
            raise ValueError(f"{self.name} is bound to {sorted(both)}, which are former bindings, too")

    def with_bindings(self, more: Iterable[str]) -> "Queue":
        """The same queue with further bindings."""
        return replace(self, bindings=tuple(dict.fromkeys((*self.bindings, *more))))

    def declared(self, again: "Queue") -> "Queue":
        """What this queue, which exists, is once it is declared again: it gets the other's bindings besides its own,
        and loses the other's former ones."""
        kept = [one for one in self.bindings if one not in again.former]
        former = tuple(one for one in dict.fromkeys((*self.former, *again.former)) if one not in again.bindings)
        return replace(self, bindings=tuple(dict.fromkeys((*kept, *again.bindings))), former=former)

    def fits(self, other: "Queue") -> bool:
        """Whether it differs from another queue in its bindings at most."""
        return replace(self, bindings=(), former=()) == replace(other, bindings=(), former=())


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `mandatory`: raise Unroutable if no queue takes it."""

    routing_key: str
    body: bytes
    message_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    mandatory: bool = True
    persistent: bool = True
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, with the reason and the queue it came from. `died_at` is UTC; None where nobody
    wrote it down."""

    id: str
    queue: str
    reason: str
    routing_key: str
    message_id: str
    body: bytes
    headers: Mapping[str, str]
    died_at: datetime | None = None


class Delivery(Protocol):
    """One message in the hands of a consumer. Exactly one of ack, retry, release, dead_letter ends it; a second
    call does nothing. A delivery whose consumer was lost is delivered again to another."""

    @property
    def body(self) -> bytes: ...
    @property
    def message_id(self) -> str: ...
    @property
    def routing_key(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def redelivered(self) -> bool: ...
    @property
    def failures(self) -> int:
        """How often `retry` was called for this message, by our own counter in a header."""
        ...

    @property
    def ended(self) -> bool:
        """Whether ack, retry, release or dead_letter was called, or the consumer was left."""
        ...

    async def ack(self) -> None: ...

    async def retry(self, delay_s: float, *, reason: str) -> None:
        """Counts a failure and delivers again after the delay (a rung of DELAYS_S), without holding up others.
        At FAILURE_LIMIT the message is dead-lettered instead."""
        ...

    async def release(self) -> None:
        """Gives it back at once without counting a failure (shutdown, a dependency that is down)."""
        ...

    async def dead_letter(self, reason: str) -> None: ...


class Consumer(Protocol):
    """A subscription; leaving its `async with` releases what was not ended."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def get(self, limit: int = 1, timeout_s: float | None = None) -> list[Delivery]:
        """Waits for at least one delivery and returns what is there, at most `limit`; [] after `timeout_s`.

        Raises BusUnavailable when the connection is lost and QueueGone when the queue was deleted.
        """
        ...


class Bus(Protocol):
    """See the module's docstring. Methods raise BusUnavailable while the broker cannot be reached."""

    async def declare(self, *queues: Queue) -> None:
        """Creates queues and bindings; declaring the same again is harmless. Remembered: after a reconnect, or
        when a queue was deleted, `declare` is repeated by the owner's consumer loop. Raises QueueMismatch."""
        ...

    async def publish(self, message: Outgoing) -> None:
        """Returns once the broker has confirmed the message (durable, if persistent). Raises Unroutable."""
        ...

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        """Publishes all, then awaits their confirms together. One entry per message: None, or why not."""
        ...

    def consume(self, queue: str, *, prefetch: int = 64) -> Consumer: ...

    async def delete(self, queue: str) -> None: ...

    async def depth(self, queue: str) -> int:
        """Messages ready in a queue. Raises QueueGone."""
        ...

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Reads them where they are, the oldest first; however often, none is lost by it."""
        ...

    async def replay(self, dead_letter_id: str) -> bool:
        """Puts a dead letter back into the queue it came from, under its own message id, its count reset. False if it
        is gone. It leaves the dead letters once its queue has confirmed it: never lost, at most doubled. Raises
        QueueGone, and keeps it, when its queue does not exist."""
        ...

    async def drop(self, dead_letter_id: str) -> bool:
        """Removes a dead letter for good. False if it is gone."""
        ...

    async def ping(self) -> None:
        """Raises BusUnavailable if the broker does not answer."""
        ...

    async def close(self) -> None: ...
