"""The bus on RabbitMQ 3.10 or later."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from aio_pika.abc import AbstractConnection

from studio9_common.bus.headers import ROUTING_KEY
from studio9_common.bus.port import BusUnavailable, Consumer, DeadLetter, Outgoing, Queue, QueueGone
from studio9_common.bus.rabbitmq import topology
from studio9_common.bus.rabbitmq.aside import Aside
from studio9_common.bus.rabbitmq.consumer import RabbitConsumer
from studio9_common.bus.rabbitmq.dead import DeadLetters
from studio9_common.bus.rabbitmq.failures import BusForbidden
from studio9_common.bus.rabbitmq.link import Link, channel_of
from studio9_common.bus.rabbitmq.mending import Mender
from studio9_common.bus.rabbitmq.publisher import Publisher
from studio9_common.bus.rabbitmq.silence import Silence
from studio9_common.errors import Studio9Error
from studio9_common.logs import logger

Topology = Literal["own", "given", "member"]
"""`own`: exchanges, ladder and dead letters are declared with every new connection. `given`: they exist already, and
queues that this broker user may not declare are only looked for. `member`: they exist already, and this user reaches
its own queues and the topic exchange alone (see `users`): what fails waits here, and what is given up is dropped."""

AT_ONCE = 500
"""Messages of one `publish_many` in flight."""


class RabbitBus:
    """See `studio9_common.bus.port.Bus`. `url` is amqp://user:password@host:port/vhost, `name` shows at the broker."""

    def __init__(self, url: str, *, name: str, topology: Topology = "own") -> None:
        self._topology = topology
        self._queues: dict[str, Queue] = {}
        self._link = Link(url, name, self._prepare)
        self._mender = Mender(self._link)
        self._publisher = Publisher(self._link, self._mender)
        self._silence = Silence()
        self._dead = DeadLetters(self._link, self._publisher, self._mender)
        self._aside = Aside()

    async def declare(self, *queues: Queue) -> None:
        connection = await self._link.connection()
        for queue in queues:
            if self._silence.given_up(queue.name):
                logger("bus").error("queue_made_anew", queue=queue.name)
                await self._link.delete(queue.name)
            await self._declare(connection, queue)
            self._queues[queue.name] = self._queues.get(queue.name, queue).declared(queue)

    async def publish(self, message: Outgoing) -> None:
        try:
            await self._send(message)
        except QueueGone:  # the exchange itself was deleted
            await self._link.repair()
            try:
                await self._send(message)
            except QueueGone as error:
                raise BusUnavailable(f"the exchange {topology.EXCHANGE} is not on the broker") from error

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        outcomes: list[Studio9Error | None] = []
        for start in range(0, len(messages), AT_ONCE):
            part = messages[start : start + AT_ONCE]
            outcomes += await self._publish_part(part)
        return outcomes

    def consume(self, queue: str, *, prefetch: int = 64) -> Consumer:
        aside = self._aside if self._topology == "member" else None
        return RabbitConsumer(self._link, self._publisher, self._silence, queue, prefetch, aside)

    async def delete(self, queue: str) -> None:
        self._queues.pop(queue, None)
        await self._link.delete(queue)

    async def depth(self, queue: str) -> int:
        async with self._link.channel(f"the queue {queue}") as channel:
            answer = await channel.queue_declare(queue, passive=True)
        return int(answer.message_count or 0)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return await self._dead.list(limit)

    async def replay(self, dead_letter_id: str) -> bool:
        return await self._dead.replay(dead_letter_id)

    async def drop(self, dead_letter_id: str) -> bool:
        return await self._dead.drop(dead_letter_id)

    async def ping(self) -> None:
        async with self._link.channel("the broker"):
            return

    async def close(self) -> None:
        self._aside.close()
        await self._publisher.close()
        await self._link.close()

    async def _send(self, message: Outgoing) -> None:
        await self._publisher.send(topology.EXCHANGE, _without_own(message))

    async def _publish_part(self, messages: Sequence[Outgoing]) -> list[Studio9Error | None]:
        sent = await self._publisher.send_many(topology.EXCHANGE, [_without_own(message) for message in messages])
        again = [index for index, error in enumerate(sent) if isinstance(error, QueueGone)]
        if again:  # the exchange itself was deleted
            outcomes = await asyncio.gather(*(self._outcome(messages[index]) for index in again))
            for index, outcome in zip(again, outcomes, strict=True):
                sent[index] = outcome
        return sent

    async def _outcome(self, message: Outgoing) -> Studio9Error | None:
        try:
            await self.publish(message)
        except Studio9Error as error:
            return error
        return None

    async def _prepare(self, connection: AbstractConnection) -> None:
        if self._topology == "own":
            async with channel_of(connection, "the exchanges") as channel:
                await topology.declare_base(channel)
        for queue in list(self._queues.values()):
            await self._declare(connection, queue)

    async def _declare(self, connection: AbstractConnection, queue: Queue) -> None:
        subject = f"the queue {queue.name}"
        try:
            async with channel_of(connection, subject) as channel:
                await topology.declare_queue(channel, queue, returning=self._topology != "member")
        except BusForbidden:
            if self._topology != "given":
                raise
            async with channel_of(connection, subject) as channel:
                await channel.queue_declare(queue.name, passive=True)


def _without_own(message: Outgoing) -> Outgoing:
    """The message without a header that is the bus's own."""
    if ROUTING_KEY not in message.headers:
        return message
    return replace(message, headers={name: text for name, text in message.headers.items() if name != ROUTING_KEY})
