"""Acknowledgements gathered over one turn of the event loop: a run of deliveries in order needs only one frame."""

import asyncio

from aiormq.channel import Channel


class Acks:
    """Delivery tags of one channel: which are out, which are to be acknowledged. A tag is settled once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._out: dict[int, None] = {}
        self._ready: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def expect(self, tag: int) -> None:
        """A delivery arrived; tags rise."""
        self._out[tag] = None

    def add(self, tag: int) -> None:
        self._ready.add(tag)
        if self._task is None:
            self._task = asyncio.create_task(self._send())

    async def give_back(self, tag: int) -> None:
        """Requeues one delivery. It stays among those that are out until the frame is on its way."""
        await self._channel.basic_nack(tag, requeue=True, wait=False)
        self._out.pop(tag, None)

    async def flush(self) -> None:
        if self._task is not None:
            await self._task

    async def _send(self) -> None:
        try:
            while self._ready:
                await self._send_ready()
        except Exception:
            self._ready.clear()  # the channel is lost: the broker delivers them again
        finally:
            self._task = None

    async def _send_ready(self) -> None:
        last = 0
        for tag in self._out:
            if tag not in self._ready:
                break
            last = tag
        run = [tag for tag in self._out if tag <= last]
        for tag in run:
            del self._out[tag]
        self._ready.difference_update(run)
        scattered, self._ready = self._ready, set()
        for tag in scattered:
            self._out.pop(tag, None)
        if last:
            await self._channel.basic_ack(last, multiple=True, wait=False)
        for tag in scattered:
            await self._channel.basic_ack(tag, wait=False)
