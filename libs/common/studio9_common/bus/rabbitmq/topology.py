"""What the platform keeps on the broker: exchanges, the delay ladder, the dead letters, and a queue's arguments.

    studio9           topic     every publish; queues bind their patterns here
    studio9.delay.5   fanout    to the queue studio9.delay.5.v1, whose messages expire after 5 s into studio9.return;
                                one per rung, since a queue with mixed lifetimes is held up by its head
    studio9.return    direct    back to the queue that the routing key names; what finds none goes to studio9.lost
    studio9.dead      fanout    to the queue studio9.dead.v2: given up, by us or by a queue's delivery limit
    studio9.replay    direct    from the dead letters back to the queue that the routing key names, if it is there
    studio9.lost      fanout    to the queue studio9.lost.v1: delayed messages whose queue is gone; short, for a look

Queues of the ladder hand on at-least-once: RabbitMQ keeps a message until its next queue has confirmed it. That needs
`reject-publish`, which never applies as no length is set.
"""

from typing import Any

from aiormq.channel import Channel

from studio9_common.bus.port import DELAYS_S, Queue

EXCHANGE = "studio9"
RETURN = "studio9.return"
DEAD = "studio9.dead"
DEAD_QUEUE = "studio9.dead.v2"
REPLAY = "studio9.replay"
LOST = "studio9.lost"
LOST_QUEUE = "studio9.lost.v1"

LOST_ARGUMENTS: dict[str, Any] = {"x-queue-type": "classic", "x-max-length": 1000, "x-message-ttl": 86_400_000}

DELIVERY_LIMIT = 10_000
"""Deliveries of one message before the broker itself gives it up. Lost consumers and releases count too, so it stands
far above FAILURE_LIMIT: a day's outage with a probe every ten seconds stays below."""

DEAD_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}
"""Dead letters are read by taking and giving back, which counts as a delivery; without a limit of our own RabbitMQ 4
drops what was looked at twenty times."""


def delay_exchange(rung: int) -> str:
    return f"studio9.delay.{rung}"


def delay_queue(rung: int) -> str:
    return f"studio9.delay.{rung}.v1"


OWN_QUEUES = {delay_exchange(rung): delay_queue(rung) for rung in DELAYS_S} | {DEAD: DEAD_QUEUE}
"""Exchange → the queue behind it, for those that the bus itself publishes to."""


def arguments(queue: Queue) -> dict[str, Any]:
    """The arguments of a queue. Persistent queues are quorum queues; transient and expiring ones are classic."""
    found: dict[str, Any] = {}
    if queue.transient or queue.expires_s is not None:
        found["x-queue-type"] = "classic"
    else:
        found |= {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    if queue.expires_s is not None:
        found["x-expires"] = queue.expires_s * 1000
    if queue.message_ttl_s is not None:
        found["x-message-ttl"] = queue.message_ttl_s * 1000
    if queue.single_active:
        found["x-single-active-consumer"] = True
    return found


async def declare_base(channel: Channel) -> None:
    """Everything above but the services' own queues; harmless when it exists."""
    await channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
    await channel.exchange_declare(DEAD, exchange_type="fanout", durable=True)
    await channel.queue_declare(DEAD_QUEUE, durable=True, arguments=DEAD_ARGUMENTS)
    await channel.queue_bind(DEAD_QUEUE, DEAD)
    await channel.exchange_declare(REPLAY, exchange_type="direct", durable=True)
    await channel.exchange_declare(LOST, exchange_type="fanout", durable=True)
    await channel.queue_declare(
        LOST_QUEUE,
        durable=True,
        arguments=LOST_ARGUMENTS,
    )
    await channel.queue_bind(LOST_QUEUE, LOST)
    await channel.exchange_declare(RETURN, exchange_type="direct", durable=True, arguments={"alternate-exchange": LOST})
    for rung in DELAYS_S:
        await channel.exchange_declare(delay_exchange(rung), exchange_type="fanout", durable=True)
        await channel.queue_declare(
            delay_queue(rung),
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-message-ttl": rung * 1000,
                "x-dead-letter-exchange": RETURN,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        await channel.queue_bind(delay_queue(rung), delay_exchange(rung))


async def declare_queue(channel: Channel, queue: Queue, *, returning: bool = True) -> None:
    """One queue with its bindings; `returning`: what was delayed or replayed finds it, too. The broker closes the
    channel when it exists with other arguments."""
    await channel.queue_declare(queue.name, durable=True, arguments=arguments(queue))
    for exchange in (RETURN, REPLAY) if returning else ():
        await channel.queue_bind(queue.name, exchange, routing_key=queue.name)
    for pattern in queue.bindings:
        await channel.queue_bind(queue.name, EXCHANGE, routing_key=pattern)
    for pattern in queue.former:
        await channel.queue_unbind(queue.name, EXCHANGE, routing_key=pattern)
