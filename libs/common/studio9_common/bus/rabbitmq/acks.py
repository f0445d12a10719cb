"""Acknowledgements gathered for a moment: a run of deliveries in order needs one frame and one write."""

import asyncio

from aiormq.channel import Channel

GATHER_S = 0.002
"""How long an acknowledgement may wait for others; the broker has room in the prefetch meanwhile."""


class Acks:
    """Delivery tags of one channel: which are out, which are to be acknowledged. A tag is settled once."""

    def __init__(self, channel: Channel, prefetch: int) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._enough = max(1, prefetch // 4)
        self._out: dict[int, None] = {}
        self._ready: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def expect(self, tag: int) -> None:
        """A delivery arrived; tags rise."""
        self._out[tag] = None

    def add(self, tag: int) -> None:
        """Acknowledges a delivery, at once where the prefetch would run short."""
        self._ready.add(tag)
        if len(self._ready) >= self._enough:
            self._start()
        elif self._timer is None:
            self._timer = self._loop.call_later(GATHER_S, self._start)

    async def give_back(self, tag: int) -> None:
        """Requeues one delivery. It stays among those that are out until the frame is on its way."""
        await self._channel.basic_nack(tag, requeue=True, wait=False)
        self._out.pop(tag, None)

    async def flush(self) -> None:
        self._start()
        if self._task is not None:
            await self._task

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None and self._ready:
            self._task = self._loop.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._ready:
                await self._send_ready()
        except Exception:
            self._ready.clear()  # the channel is lost: the broker delivers them again
        finally:
            self._task = None

    async def _send_ready(self) -> None:
        run: list[int] = []
        for tag in self._out:
            if tag not in self._ready:
                break
            run.append(tag)
        scattered = self._ready.difference(run)
        for tag in self._ready:
            self._out.pop(tag, None)
        self._ready = set()
        if run:
            await self._channel.basic_ack(run[-1], multiple=True, wait=False)
        for tag in scattered:
            await self._channel.basic_ack(tag, wait=False)
