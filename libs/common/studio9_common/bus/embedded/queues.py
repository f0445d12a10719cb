"""One queue of the embedded bus in memory: what consumers can reach now; everything else stays in the file.

A durable message published while consumers wait goes to them straight after its commit. Otherwise only its row
exists, and `fill` reads rows back a window (the consumers' prefetch together) at a time. `cursor` is the highest
`seq` that was read; `more` says that rows beyond it may exist.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from typing import Protocol

from studio9_common.bus.embedded.message import Message
from studio9_common.bus.port import Queue

VOLATILE_LIMIT = 10_000
"""Messages of one queue that only memory holds; beyond it the oldest vanish, as transient messages may."""

WINDOW_MIN = 16
"""Messages read at a time however small the prefetch is: each reading costs a commit."""
LOAD_AGAIN_S = 1.0


class Taker(Protocol):
    """A consumer, as its queue sees it."""

    prefetch: int

    def room(self) -> int:
        """How many more deliveries it may hold."""
        ...


class QueueState:
    """Not thread-safe; belongs to the bus's event loop. `load(queue, after, limit)` is to call `loaded`."""

    def __init__(
        self, spec: Queue, load: Callable[["QueueState", int, int], None], discard: Callable[[int], None]
    ) -> None:
        self.spec = spec
        self.takers: list[Taker] = []
        self.expiry: asyncio.TimerHandle | None = None
        self.cursor = 0
        self.epoch = 0
        self._load = load
        self._discard = discard
        self._head: deque[Message] = deque()
        self._volatile: deque[Message] = deque()
        self._waiters: dict[asyncio.Future[None], Taker] = {}
        self._more = True
        self._loading = False
        self._coming = 0

    @property
    def window(self) -> int:
        return max(WINDOW_MIN, sum(taker.prefetch for taker in self.takers))

    def admit(self, seq: int) -> bool:
        """Whether a row about to be written goes to the consumers too; `arrive` or `missed` must follow."""
        if not self.takers or self._more or self._loading or len(self._head) + self._coming >= self.window:
            self._more = True
            return False
        self._coming += 1
        self.cursor = seq
        return True

    def arrive(self, message: Message, epoch: int) -> None:
        if epoch == self.epoch:
            self._coming -= 1
            self._head.append(message)
            self.wake()

    def missed(self, epoch: int) -> None:
        """The row of an admitted message could not be written."""
        if epoch == self.epoch:
            self._coming -= 1

    def add_volatile(self, message: Message) -> None:
        self._volatile.append(message)
        if len(self._volatile) > VOLATILE_LIMIT:
            self._volatile.popleft()
        self.wake()

    def expect_rows(self) -> None:
        """Rows are about to be written without `admit`; `fill` must follow. From now on none are admitted past them."""
        self._more = True

    def fill(self) -> None:
        """Reads rows when the consumers' reach is half empty."""
        window = self.window
        if self.takers and self._more and not self._loading and len(self._head) <= window // 2:
            self._loading, self._more = True, False
            self._load(self, self.cursor, window - len(self._head))

    def loaded(self, messages: list[Message], asked: int, epoch: int) -> None:
        if epoch != self.epoch:
            return
        self._loading = False
        if messages:
            self._head.extend(messages)
            self.cursor = messages[-1].seq
        if len(messages) == asked:
            self._more = True
        self.wake()
        self.fill()

    def load_failed(self, epoch: int) -> None:
        if epoch == self.epoch:
            self._loading, self._more = False, True
            asyncio.get_running_loop().call_later(LOAD_AGAIN_S, self.fill)

    def active(self, taker: Taker) -> bool:
        """Whether this consumer receives: with `single_active` only the first one."""
        return not self.spec.single_active or (bool(self.takers) and self.takers[0] is taker)

    def take(self, limit: int, now: float) -> list[Message]:
        """Up to `limit` messages in the order of their `seq`; expired ones vanish."""
        taken: list[Message] = []
        while len(taken) < limit and (source := self._next_source()):
            message = source.popleft()
            if not message.expired(now):
                taken.append(message)
            elif message.durable:
                self._discard(message.seq)
        self.fill()
        return taken

    def put_back(self, messages: list[Message]) -> None:
        """Released messages come first again, marked redelivered."""
        for message in messages:
            message.redelivered = True
        for durable in (True, False):
            back = sorted((m for m in messages if m.durable is durable), key=lambda m: m.seq)
            if not back:
                continue
            store = self._head if durable else self._volatile
            merged = list(heapq.merge(back, store, key=lambda m: m.seq))
            store.clear()
            store.extend(merged)
        self.wake()

    def wait(self, taker: Taker) -> asyncio.Future[None]:
        """Ends when there may be something for this consumer."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[future] = taker
        return future

    def stop_waiting(self, future: asyncio.Future[None]) -> None:
        self._waiters.pop(future, None)

    def leave(self, taker: Taker) -> None:
        """A consumer is gone. Without any left, everything durable is only in the file again."""
        self.takers.remove(taker)
        if not self.takers:
            self._head.clear()
            self.cursor, self.epoch = 0, self.epoch + 1
            self._more, self._loading, self._coming = True, False, 0
        self.wake()

    def wake(self) -> None:
        """Lets as many waiting consumers look as there are messages, in the order in which they came."""
        ready = len(self._head) + len(self._volatile)
        for future, taker in list(self._waiters.items()) if ready else ():
            if taker.room() and self.active(taker):
                self.stop_waiting(future)
                if not future.done():
                    future.set_result(None)
                    ready -= 1
            if not ready:
                return

    def wake_all(self) -> None:
        """The queue or the bus is gone: everybody looks."""
        for future in self._waiters:
            if not future.done():
                future.set_result(None)
        self._waiters.clear()

    def sweep(self, now: float) -> None:
        """Drops expired messages that only memory holds."""
        if any(message.expired(now) for message in self._volatile):
            self._volatile = deque(message for message in self._volatile if not message.expired(now))

    def reachable(self, now: float) -> int:
        """Messages in memory that a consumer could take now."""
        return sum(not m.expired(now) for source in (self._head, self._volatile) for m in source)

    def _next_source(self) -> deque[Message] | None:
        if self._head and self._volatile:
            return self._head if self._head[0].seq < self._volatile[0].seq else self._volatile
        return self._head or self._volatile or None
