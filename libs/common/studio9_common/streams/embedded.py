"""Queues and topics of one machine, durable in a SQLite file; a receiver that waits is woken by the sender."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from studio9_common.streams.limits import check_message, check_name, check_receive
from studio9_common.streams.port import StreamMessage
from studio9_common.streams.store import StreamStore

OTHERS_S = 1.0
"""A waiting receiver looks this often for what another process has sent."""


class EmbeddedStreams:
    """Streams (the port). `now` is Unix time; tests pass their own."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._store = StreamStore(path)
        self._now = now
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def ensure_queue(self, queue: str, *, visibility_s: int = 30, max_receives: int | None = None) -> None:
        check_receive(1, 0, visibility_s)
        await asyncio.to_thread(self._store.ensure_queue, check_name(queue, "queue"), visibility_s, max_receives)

    async def ensure_topic(self, topic: str) -> None:
        await asyncio.to_thread(self._store.ensure_topic, check_name(topic, "topic"))

    async def subscribe(self, topic: str, queue: str) -> None:
        await asyncio.to_thread(self._store.subscribe, topic, queue)

    async def send(self, queue: str, body: str, attributes: Mapping[str, str] | None = None) -> str:
        checked = check_message(body, attributes)
        sent = await asyncio.to_thread(self._store.send, queue, body, checked, self._now())
        self._arrived[queue].set()
        return str(sent)

    async def send_once(self, queue: str, body: str, mark: str) -> bool:
        """Sends unless a message with this mark was sent to this queue before, ever; whether it was sent now."""
        checked = check_message(body, None)
        sent = await asyncio.to_thread(self._store.send, queue, body, checked, self._now(), mark)
        self._arrived[queue].set()
        return sent is not None

    async def publish(
        self, topic: str, body: str, *, subject: str = "", attributes: Mapping[str, str] | None = None
    ) -> str:
        checked = check_message(body, attributes)
        identifier, queues = await asyncio.to_thread(self._store.publish, topic, body, checked, self._now())
        for queue in queues:
            self._arrived[queue].set()
        return identifier

    async def receive(
        self, queue: str, *, limit: int = 10, wait_s: float = 0, visibility_s: int | None = None
    ) -> list[StreamMessage]:
        check_receive(limit, wait_s, visibility_s)
        deadline = time.monotonic() + wait_s
        arrived = self._arrived[queue]
        while True:
            arrived.clear()
            taken = await asyncio.to_thread(self._store.receive, queue, limit, visibility_s, self._now())
            left = deadline - time.monotonic()
            if taken or left <= 0:
                return taken
            due = await asyncio.to_thread(self._store.next_visible, queue)
            until_due = OTHERS_S if due is None else max(0.005, due - self._now())
            try:
                async with asyncio.timeout(min(left, until_due, OTHERS_S)):
                    await arrived.wait()
            except TimeoutError:
                continue

    async def extend(self, queue: str, receipt: str, visibility_s: int) -> None:
        check_receive(1, 0, visibility_s)
        await asyncio.to_thread(self._store.extend, queue, receipt, self._now() + visibility_s)
        if visibility_s == 0:
            self._arrived[queue].set()

    async def delete(self, queue: str, receipts: Sequence[str]) -> None:
        await asyncio.to_thread(self._store.delete, queue, receipts)

    async def depth(self, queue: str) -> int:
        return await asyncio.to_thread(self._store.depth, queue)

    async def ping(self) -> None:
        await asyncio.to_thread(self._store.ping)

    async def close(self) -> None:
        await asyncio.to_thread(self._store.close)
