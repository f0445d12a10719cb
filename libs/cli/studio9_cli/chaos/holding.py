"""The delivery time-out: first that a delivery held for too long is cut, then that no job notices.

RabbitMQ closes the channel of a consumer that has not acknowledged within `consumer_timeout`; it looks every
`channel_tick_interval` (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
"""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

from studio9_common.bus.port import Bus, Outgoing, Queue
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id

_TIMED_OUT = re.compile(r"<([\d.]+)> Consumer \S+ on channel (\d+) has timed out")
"""The broker's process of a channel, and its number; the same channel is told again until its client has gone."""


async def hold(bus: Bus, timeout_s: float) -> dict[str, Any]:
    """Holds one delivery until its consumer is cut; after how many seconds, and that the message came again."""
    name = f"chaos.held-{new_id()}.v1"
    await bus.declare(Queue(name, (name,)))
    await bus.publish(Outgoing(name, b"{}", new_id()))
    cut_s: float | None = None
    why = ""
    async with bus.consume(name, prefetch=1) as consumer:
        await consumer.get(1)
        began = time.monotonic()
        try:
            await consumer.get(1, timeout_s=3 * timeout_s + 5)
        except Studio9Error as error:
            cut_s, why = round(time.monotonic() - began, 2), error.message
    async with asyncio.timeout(30), bus.consume(name, prefetch=1) as consumer:
        again = await consumer.get(1)
        for delivery in again:
            await delivery.ack()
    await bus.delete(name)
    return {"timeout_s": timeout_s, "cut_after_s": cut_s, "why": why, "came_again": len(again) == 1}


def consumers_cut(log: Path) -> int:
    """How many consumers the broker says that it cut for holding a delivery, that of `hold` included."""
    return len(set(_TIMED_OUT.findall(log.read_text(encoding="utf-8", errors="replace"))))
