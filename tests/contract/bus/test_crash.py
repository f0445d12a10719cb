"""What a killed process leaves: everything confirmed, and what it held in its hands."""

import asyncio
import sys

from studio9_common.bus import open_bus

CONSUMER = """
import asyncio, sys
from studio9_common.bus import open_bus

async def main(url, queue):
    bus = await open_bus(url, name="victim")
    async with bus.consume(queue) as consumer:
        held = []
        while len(held) < 5:
            held += await consumer.get(5 - len(held))
        await held[0].ack()
        await asyncio.sleep(0.1)
        await bus.depth(queue)  # it goes the way that the ack went before it
        print("holding", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""

PUBLISHER = """
import asyncio, sys
from studio9_common.bus import Outgoing, open_bus

async def publish(bus, key, start):
    for i in range(start, start + 100_000):
        await bus.publish(Outgoing(key, b"%d" % i, f"m-{i}"))
        print(i, flush=True)

async def main(url, key):
    bus = await open_bus(url, name="victim")
    await asyncio.gather(*(publish(bus, key, i * 100_000) for i in range(16)))

asyncio.run(main(*sys.argv[1:]))
"""


async def _start(script: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
    )


async def _kill(process: asyncio.subprocess.Process) -> bytes:
    process.kill()
    assert process.stdout is not None
    rest = await process.stdout.read()
    await process.wait()
    return rest


async def test_what_a_killed_consumer_held_comes_again(url, names, tools):
    queue = names.spec()
    bus = await open_bus(url, name="before")
    await bus.declare(queue)
    await bus.publish_many([names.message(b"%d" % i) for i in range(8)])
    await bus.close()

    process = await _start(CONSUMER, url, queue.name)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"holding\n"
    await _kill(process)

    bus = await open_bus(url, name="after")
    try:
        async with bus.consume(queue.name) as consumer:
            again = {d.body: d.redelivered for d in await tools.take(consumer, 7)}
            assert set(again) == {b"%d" % i for i in range(1, 8)}
            assert all(again[b"%d" % i] for i in range(1, 5))
            assert await consumer.get(1, timeout_s=0.1) == []
    finally:
        await tools.clean(bus, names)
        await bus.close()


async def test_what_was_confirmed_to_a_killed_publisher_is_there(url, names, tools):
    queue = names.spec()
    bus = await open_bus(url, name="before")
    await bus.declare(queue)
    await bus.close()

    process = await _start(PUBLISHER, url, names.key())
    assert process.stdout is not None
    printed = b"".join([await asyncio.wait_for(process.stdout.readline(), 20) for _ in range(500)])
    printed += await _kill(process)
    confirmed = {int(line) for line in printed.split(b"\n")[:-1]}
    assert len(confirmed) >= 500

    bus = await open_bus(url, name="after")
    try:
        async with bus.consume(queue.name, prefetch=500) as consumer:
            found: set[int] = set()
            while deliveries := await consumer.get(500, timeout_s=0.1 if confirmed <= found else 10):
                found |= {int(d.body) for d in deliveries}
                for delivery in deliveries:
                    await delivery.ack()
        assert confirmed <= found
    finally:
        await tools.clean(bus, names)
        await bus.close()


async def test_delayed_and_dead_messages_outlive_a_restart(url, names, tools):
    queue = names.spec()
    bus = await open_bus(url, name="before")
    await bus.declare(queue)
    await bus.publish_many([names.message(b"delayed"), names.message(b"dead"), names.message(b"ready")])
    async with bus.consume(queue.name) as consumer:
        held = {d.body: d for d in await tools.take(consumer, 3)}
        await held[b"delayed"].retry(1, reason="later")
        await held[b"dead"].dead_letter("unreadable")
    await bus.close()

    bus = await open_bus(url, name="after")
    try:
        (letter,) = await tools.dead(bus, queue.name)
        assert (letter.body, letter.reason) == (b"dead", "unreadable")
        async with bus.consume(queue.name) as consumer:
            first, second = await tools.take(consumer, 2)
            assert (first.body, first.redelivered, first.failures) == (b"ready", True, 0)
            assert (second.body, second.failures) == (b"delayed", 1)
    finally:
        await tools.clean(bus, names)
        await bus.close()
