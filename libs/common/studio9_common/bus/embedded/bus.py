"""The embedded bus: one process, one event loop, one SQLite file."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from studio9_common.bus.embedded import catalogue
from studio9_common.bus.embedded.consumer import EmbeddedConsumer
from studio9_common.bus.embedded.dead import DeadRow, bury, drop, list_dead, read_dead, replace_by
from studio9_common.bus.embedded.ladder import Entry, Ladder
from studio9_common.bus.embedded.message import Message, make_due, mark_delivered, read_ready, remove, write
from studio9_common.bus.embedded.queues import QueueState
from studio9_common.bus.embedded.store import Store
from studio9_common.bus.embedded.topics import matches
from studio9_common.bus.headers import FAILURES
from studio9_common.bus.port import (
    BusUnavailable,
    Consumer,
    DeadLetter,
    Outgoing,
    Queue,
    QueueGone,
    QueueMismatch,
    Unroutable,
)
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id

SWEEP_S = 5.0
"""How often expired messages that nobody asked for are removed."""
LADDER_AGAIN_S = 1.0
"""After which delayed messages that could not be written are tried again."""
ROUTES_KEPT = 10_000


class EmbeddedBus:
    """See `studio9_common.bus.port.Bus`. Made by `await EmbeddedBus.open(path)`; all services of a process share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[str, QueueState] = {}
        self._routes: dict[str, tuple[QueueState, ...]] = {}
        self._seq = 0
        self._ladder = Ladder(self._release_due)
        self._sweeper: asyncio.TimerHandle | None = None
        self._discarded: list[int] = []
        self._expiring = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Creates the file where it is missing. Raises BusInUse while another process or bus has it open."""
        store = Store(path)
        await store.open()
        bus = cls(store)
        await store.submit(catalogue.restore, bus._restore)
        return bus

    # -- queues ---------------------------------------------------------------------------------------------------

    async def declare(self, *queues: Queue) -> None:
        self.check_open()
        for spec in queues:
            known = self._queues.get(spec.name)
            if known is not None and not known.spec.fits(spec):
                raise QueueMismatch(f"the queue {spec.name} exists with other arguments; raise its version")
        for spec in queues:
            self._add(spec)
        specs = [self._queues[spec.name].spec for spec in queues]
        await self._store.submit(lambda connection: catalogue.save(connection, specs))

    async def delete(self, queue: str) -> None:
        self.check_open()
        self._forget(queue)
        await self._store.submit(lambda connection: catalogue.delete(connection, queue))

    async def depth(self, queue: str) -> int:
        state = self.queue(queue)
        self._flush_discarded()
        after, now = state.cursor, time.time()
        sql = (
            "SELECT count(*) FROM message WHERE queue = ? AND due IS NULL AND seq > ?"
            " AND (expires_at IS NULL OR expires_at > ?)"
        )
        rows: int = await self._store.submit(
            lambda connection: connection.execute(sql, (queue, after, now)).fetchone()[0]
        )
        return rows + state.reachable(now)

    def consume(self, queue: str, *, prefetch: int = 64) -> Consumer:
        return EmbeddedConsumer(self, queue, prefetch)

    # -- publishing -----------------------------------------------------------------------------------------------

    async def publish(self, message: Outgoing) -> None:
        error = (await self.publish_many([message]))[0]
        if error is not None:
            raise error

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        self.check_open()
        errors: list[Studio9Error | None] = [None] * len(messages)
        rows: list[Message] = []
        owners: list[int] = []
        for index, outgoing in enumerate(messages):
            targets = self._route(outgoing.routing_key)
            if not targets and outgoing.mandatory:
                errors[index] = Unroutable(f"no queue takes messages with the routing key {outgoing.routing_key}")
            for queue in targets:
                message = self._message(outgoing, queue)
                if message.durable:
                    rows.append(message)
                    owners.append(index)
                else:
                    queue.add_volatile(message)
        if rows:
            try:
                await asyncio.shield(self._insert(rows))
            except BusUnavailable as error:
                for index in owners:
                    errors[index] = error
        else:
            await asyncio.sleep(0)  # a publisher of transient messages alone must not keep the loop to itself
        return errors

    def _message(self, outgoing: Outgoing, queue: QueueState) -> Message:
        lifetimes = [life for life in (outgoing.expires_s, queue.spec.message_ttl_s) if life is not None]
        expires_at = time.time() + min(lifetimes) if lifetimes else None
        self._expiring = self._expiring or expires_at is not None
        return Message(
            seq=self._next_seq(),
            queue=queue.spec.name,
            routing_key=outgoing.routing_key,
            message_id=outgoing.message_id,
            headers=dict(outgoing.headers),
            body=outgoing.body,
            durable=outgoing.persistent and not queue.spec.transient,
            expires_at=expires_at,
        )

    def _insert(self, rows: list[Message]) -> asyncio.Future[None]:
        """Writes durable messages and gives them to waiting consumers once they are committed."""
        admitted = [(q, q.epoch, m) for m in rows if (q := self._queues[m.queue]).admit(m.seq)]
        reached = {m.queue: m.seq for _, _, m in admitted}
        touched = {m.queue: self._queues[m.queue] for m in rows}

        def run(connection: sqlite3.Connection) -> None:
            write(connection, rows)
            if reached:
                mark_delivered(connection, reached)

        def then(_: None) -> None:
            for queue, epoch, message in admitted:
                queue.arrive(message, epoch)
            for queue in touched.values():
                queue.fill()

        def check(future: asyncio.Future[None]) -> None:
            if future.cancelled() or future.exception() is not None:
                for queue, epoch, _ in admitted:
                    queue.missed(epoch)

        future = self._store.submit(run, then)
        future.add_done_callback(check)
        return future

    def _route(self, routing_key: str) -> tuple[QueueState, ...]:
        targets = self._routes.get(routing_key)
        if targets is None:
            targets = tuple(
                queue
                for queue in self._queues.values()
                if any(matches(pattern, routing_key) for pattern in queue.spec.bindings)
            )
            if len(self._routes) >= ROUTES_KEPT:
                self._routes.clear()
            self._routes[routing_key] = targets
        return targets

    # -- what deliveries and consumers call -----------------------------------------------------------------------

    def check_open(self) -> None:
        if self._store.closed:
            raise BusUnavailable("the embedded bus is closed")

    def queue(self, name: str) -> QueueState:
        self.check_open()
        if name not in self._queues:
            raise QueueGone(f"there is no queue {name}; declare it first")
        return self._queues[name]

    def has(self, queue: QueueState) -> bool:
        return self._queues.get(queue.spec.name) is queue

    def in_use(self, queue: QueueState) -> None:
        """A consumer came, or the queue was declared: the time until an expiring queue goes begins anew."""
        if queue.expiry is not None:
            queue.expiry.cancel()
            queue.expiry = None

    def left(self, queue: QueueState) -> None:
        """A consumer left: an expiring queue without any goes after its time."""
        self.in_use(queue)
        if queue.spec.expires_s is not None and not queue.takers and self.has(queue) and not self._store.closed:
            loop = asyncio.get_running_loop()
            queue.expiry = loop.call_later(queue.spec.expires_s, self._expire, queue)

    def discard(self, message: Message) -> None:
        """Removes an acknowledged message; its row goes with the next commit."""
        if message.durable:
            self._discard_row(message.seq)

    def delay(self, message: Message, headers: dict[str, str], delay_s: float) -> asyncio.Future[None]:
        """Puts a message aside for `delay_s` seconds, without its expiry."""
        due = time.time() + delay_s
        later = Message(
            seq=message.seq, queue=message.queue, routing_key=message.routing_key, message_id=message.message_id,
            headers=headers, body=message.body, durable=message.durable, redelivered=True, due=due,
        )  # fmt: skip
        entry = (due, later.seq, later.queue, None if later.durable else later)
        if not later.durable:
            self._ladder.add(entry)
            return _done()
        return self._store.submit(lambda connection: write(connection, [later]), lambda _: self._ladder.add(entry))

    def bury(self, message: Message, reason: str) -> asyncio.Future[None]:
        """Makes a dead letter of a message."""
        return self._store.submit(lambda connection: bury(connection, message, reason, new_id()))

    # -- dead letters ---------------------------------------------------------------------------------------------

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        self.check_open()
        return await self._store.submit(lambda connection: list_dead(connection, limit))

    async def replay(self, dead_letter_id: str) -> bool:
        self.check_open()
        row: DeadRow | None = await self._store.submit(lambda connection: read_dead(connection, dead_letter_id))
        if row is None:
            return False
        queue = self.queue(row.queue)
        headers = {name: value for name, value in row.headers.items() if name != FAILURES}
        again = Outgoing(row.routing_key, row.body, row.message_id, headers)
        message = self._message(again, queue)
        if not message.durable:
            if not await self.drop(dead_letter_id):
                return False
            queue.add_volatile(message)
            return True
        queue.expect_rows()
        return await self._store.submit(
            lambda connection: replace_by(connection, dead_letter_id, message), lambda _: queue.fill()
        )

    async def drop(self, dead_letter_id: str) -> bool:
        self.check_open()
        return await self._store.submit(lambda connection: drop(connection, dead_letter_id))

    async def ping(self) -> None:
        self.check_open()
        await self._store.submit(lambda connection: connection.execute("SELECT 1").fetchone() and None)

    async def close(self) -> None:
        if self._store.closed:
            return
        self._flush_discarded()
        self._ladder.stop()
        for timer in (self._sweeper, *(queue.expiry for queue in self._queues.values())):
            if timer is not None:
                timer.cancel()
        await self._store.close()
        for queue in self._queues.values():
            queue.wake_all()

    # -- inner works ----------------------------------------------------------------------------------------------

    def _restore(self, found: catalogue.Restored) -> None:
        self._seq, self._expiring = found.highest, found.expiring
        for spec in found.queues:
            self._add(spec)
        self._ladder.add(*((due, seq, queue, None) for due, seq, queue in found.delayed))
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _add(self, spec: Queue) -> None:
        state = self._queues.get(spec.name)
        if state is None:
            state = self._queues[spec.name] = QueueState(spec, self._load_rows, self._discard_row)
        else:
            state.spec = state.spec.declared(spec)
        self._routes.clear()
        self.left(state)

    def _forget(self, name: str) -> None:
        state = self._queues.pop(name, None)
        if state is not None:
            self._routes.clear()
            self.in_use(state)
            state.wake_all()

    def _expire(self, queue: QueueState) -> None:
        if self.has(queue) and not queue.takers:
            name = queue.spec.name
            self._forget(name)
            self._store.submit(lambda connection: catalogue.delete(connection, name))

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _load_rows(self, queue: QueueState, after: int, limit: int) -> None:
        self._flush_discarded()  # else a row already acknowledged could be read again
        name, epoch = queue.spec.name, queue.epoch
        future = self._store.submit(
            lambda connection: read_ready(connection, name, after, limit),
            lambda messages: queue.loaded(messages, limit, epoch),
        )
        future.add_done_callback(lambda done: queue.load_failed(epoch) if done.exception() is not None else None)

    def _discard_row(self, seq: int) -> None:
        if not self._discarded:
            asyncio.get_running_loop().call_soon(self._flush_discarded)
        self._discarded.append(seq)

    def _flush_discarded(self) -> None:
        if self._discarded:
            gone, self._discarded = self._discarded, []
            self._store.submit(lambda connection: remove(connection, gone))

    def _release_due(self, entries: list[Entry]) -> None:
        moves: list[tuple[int, int, float | None]] = []
        touched: dict[str, QueueState] = {}
        for _, seq, name, message in entries:
            queue = self._queues.get(name)
            if queue is None:
                continue
            ttl = queue.spec.message_ttl_s
            expires_at = None if ttl is None else time.time() + ttl
            if message is None:
                moves.append((seq, self._next_seq(), expires_at))
                touched[name] = queue
            else:
                message.seq, message.expires_at, message.due = self._next_seq(), expires_at, None
                queue.add_volatile(message)

        def then(_: None) -> None:
            for queue in touched.values():
                queue.fill()

        def check(future: asyncio.Future[None]) -> None:
            if not future.cancelled() and future.exception() is not None and not self._store.closed:
                later = time.time() + LADDER_AGAIN_S
                self._ladder.add(*((later, seq, name, None) for _, seq, name, message in entries if message is None))

        for queue in touched.values():
            queue.expect_rows()
        if moves:
            self._store.submit(lambda connection: make_due(connection, moves), then).add_done_callback(check)

    def _sweep(self) -> None:
        now = time.time()
        for queue in self._queues.values():
            queue.sweep(now)
        if self._expiring:
            sql = "DELETE FROM message WHERE expires_at <= ? AND due IS NULL"
            self._store.submit(lambda connection: connection.execute(sql, (now,)) and None)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
