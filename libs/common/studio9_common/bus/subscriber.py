"""The loop in which every service takes its messages: what a handler's outcome means for a message is decided here."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from studio9_common.bus.port import (
    DELAYS_S,
    FAILURE_LIMIT,
    BadMessage,
    Bus,
    BusUnavailable,
    Consumer,
    Delivery,
    Queue,
    QueueGone,
)
from studio9_common.errors import Unavailable
from studio9_common.tasks import end

Handler = Callable[[Sequence[Delivery]], Awaitable[None]]
OnDeadLetter = Callable[[Delivery, str], Awaitable[None]]

BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 10.0
PROBE_S = 2.0
"""How long to wait for a message to try after an outage; an empty queue needs no trial."""
STOP_LIMIT_S = 8.0
"""How long a running handler may go on after `stop`; then its messages go back to the queue."""


def each(handler: Callable[[Delivery], Awaitable[None]]) -> Handler:
    """A handler of batches from one of single messages; each message is acknowledged once it is handled."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await handler(delivery)
            await delivery.ack()

    return handle


@dataclass(slots=True)
class Counters:
    """Messages since the start: handled, retried, given up; and how often the loop had to pause and begin again."""

    handled: int = 0
    retried: int = 0
    dead_lettered: int = 0
    pauses: int = 0


class _Outage(Exception):
    """A dependency of the handler is down: the consumer is left, which gives back everything that it holds."""


class Subscriber:
    """Consumes one queue with one handler, up to `batch` messages at a time, in the order of their arrival.

    - The handler returns: every delivery that it did not end itself is acknowledged.
    - It raises Unavailable (a dependency is down): the batch is released, nothing is counted, and consuming stops for
      a while (0.2 s, doubling to 10 s, with jitter), then goes on with single messages until one succeeds.
    - It raises BadMessage (BadEnvelope is one): the message becomes a dead letter with that reason.
    - It raises anything else: the messages of a batch are tried one by one; one that fails alone is retried later, its
      failures counted, and is a dead letter after FAILURE_LIMIT of them. `on_dead_letter(delivery, reason)` is called
      before; if it raises Unavailable the message stays in the queue.
    - The queue or the connection is lost: the queue is declared again and consuming goes on.
    """

    def __init__(
        self,
        bus: Bus,
        queue: Queue,
        handler: Handler,
        *,
        batch: int = 1,
        prefetch: int = 64,
        on_dead_letter: OnDeadLetter | None = None,
        stop_limit_s: float = STOP_LIMIT_S,
    ) -> None:
        self.counters = Counters()
        self.healthy = False
        self.queue = queue
        self._bus = bus
        self._handler = handler
        self._batch = batch
        self._prefetch = max(prefetch, batch)
        self._on_dead_letter = on_dead_letter
        self._stop_limit_s = stop_limit_s
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._idle = False
        self._probing = False
        self._failed = 0
        self._log = structlog.get_logger().bind(queue=queue.name)

    @property
    def ended(self) -> bool:
        """Whether its loop has ended although nobody stopped it."""
        return self._task is not None and self._task.done()

    async def start(self) -> None:
        """Declares the queue, so that it takes messages from now on, and begins. A bus that is away is waited for."""
        with contextlib.suppress(BusUnavailable):
            await self._bus.declare(self.queue)
        self._task = asyncio.create_task(self._run(), name=f"subscriber-{self.queue.name}")

    async def stop(self) -> None:
        """Lets a running handler end within the limit, then gives the rest back."""
        self._stopping = True
        task, self._task = self._task, None
        if task is None:
            return
        if not self._idle:
            await asyncio.wait([task], timeout=self._stop_limit_s)
        await end(task)
        self.healthy = False

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._bus.declare(self.queue)
                prefetch = 1 if self._probing else self._prefetch
                async with self._bus.consume(self.queue.name, prefetch=prefetch) as consumer:
                    await (self._probe if self._probing else self._consume)(consumer)
            except QueueGone:
                self._log.warning("queue_gone")
                await self._pause()
            except _Outage as error:
                self._log.warning("dependency_down", reason=str(error))
                self._probing = True
                await self._pause()
            except BusUnavailable as error:
                self._log.warning("bus_unavailable", reason=str(error))
                await self._pause()
            except Exception:
                self._log.exception("consuming_failed")
                await self._pause()

    async def _consume(self, consumer: Consumer) -> None:
        self._failed, self.healthy = 0, True
        while not self._stopping:
            await self._handle(await self._get(consumer, self._batch, None))
            await asyncio.sleep(0)  # a handler that never waits must not keep the loop to itself

    async def _probe(self, consumer: Consumer) -> None:
        """One message to see whether the dependency is back, so that no others are delivered in vain."""
        deliveries = await self._get(consumer, 1, PROBE_S)
        if deliveries:
            await self._handle(deliveries)
        self._probing = False

    async def _get(self, consumer: Consumer, limit: int, timeout_s: float | None) -> list[Delivery]:
        self._idle = True
        try:
            return await consumer.get(limit, timeout_s)
        finally:
            self._idle = False

    async def _handle(self, deliveries: Sequence[Delivery]) -> None:
        try:
            await self._handler(deliveries)
        except Unavailable as error:
            raise _Outage(str(error)) from error
        except Exception as error:
            if len(deliveries) == 1:
                await self._failure(deliveries[0], error)
                return
            self._log.info("batch_failed", messages=len(deliveries), error=repr(error))
            for delivery in deliveries:
                if delivery.ended:
                    self.counters.handled += 1
                else:
                    await self._handle([delivery])
            return
        for delivery in deliveries:
            await delivery.ack()
        self.counters.handled += len(deliveries)

    async def _failure(self, delivery: Delivery, error: Exception) -> None:
        if delivery.ended:
            return
        log = self._log.bind(message_id=delivery.message_id, routing_key=delivery.routing_key)
        reason = f"{type(error).__name__}: {error}"
        bad = isinstance(error, BadMessage)
        if bad or delivery.failures + 1 >= FAILURE_LIMIT:
            log.error("message_given_up", reason=reason, failures=delivery.failures + 1)
            await self._report(delivery, reason)
            if bad:
                await delivery.dead_letter(reason)
            else:
                await delivery.retry(0, reason=reason)
            self.counters.dead_lettered += 1
            return
        delay_s = DELAYS_S[min(delivery.failures, len(DELAYS_S) - 1)]
        log.warning("message_failed", reason=reason, failures=delivery.failures + 1, delay_s=delay_s, exc_info=error)
        await delivery.retry(delay_s, reason=reason)
        self.counters.retried += 1

    async def _report(self, delivery: Delivery, reason: str) -> None:
        if self._on_dead_letter is None:
            return
        try:
            await self._on_dead_letter(delivery, reason)
        except Unavailable as error:
            raise _Outage(str(error)) from error
        except Exception:
            self._log.exception("dead_letter_not_reported", message_id=delivery.message_id)

    async def _pause(self) -> None:
        self.healthy = False
        self.counters.pauses += 1
        self._failed += 1
        pause_s = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2 ** min(self._failed - 1, 10))
        self._idle = True
        try:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        finally:
            self._idle = False
