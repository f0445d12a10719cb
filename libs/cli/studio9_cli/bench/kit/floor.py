"""What the servers alone take for the dispatch of one job: the same writes and publishes, one after the other, made
with the bare clients on a connection each."""

import time

import aio_pika
from elasticsearch import AsyncElasticsearch

from studio9_common.ids import new_id

JOB = {"organisation": "acme", "state": "queued", "job": {"kind": "train", "notes": "x" * 1_500}}
BODY = b'{"notes": "%b"}' % (b"x" * 1_000)
"""About as large as a job's document and a command."""


class Floor:
    """Measures one chain at a time on an index and a quorum queue of its own."""

    def __init__(self, store: AsyncElasticsearch, channel: aio_pika.abc.AbstractChannel, place: str) -> None:
        self._store, self._channel, self._place = store, channel, place

    @classmethod
    async def open(cls, store: AsyncElasticsearch, connection: aio_pika.abc.AbstractConnection, place: str) -> "Floor":
        """Makes index and queue; the deployment that they belong to removes them."""
        await store.indices.create(
            index=place,
            mappings={"dynamic": False, "properties": {"state": {"type": "keyword"}}},
            settings={"number_of_replicas": 0, "number_of_shards": 1},
        )
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(place, durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 100})
        return cls(store, channel, place)

    async def once(self, writes: int, publishes: int) -> float:
        """Seconds for so many conditional writes of one document, then so many confirmed publishes."""
        id, version, term = new_id(), 0, 0
        started = time.perf_counter()
        for n in range(writes):
            if n == 0:
                answer = await self._store.index(index=self._place, id=id, document=JOB, op_type="create")
            else:
                answer = await self._store.index(
                    index=self._place, id=id, document=JOB, if_seq_no=version, if_primary_term=term
                )
            version, term = answer["_seq_no"], answer["_primary_term"]
        for _ in range(publishes):
            message = aio_pika.Message(BODY, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await self._channel.default_exchange.publish(message, self._place)
        return time.perf_counter() - started
