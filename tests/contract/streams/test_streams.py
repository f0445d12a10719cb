"""What the streams port promises: visibility, receipts, counts, dead queues, topics, limits."""

import asyncio
import time

import pytest

from studio9_common.errors import BadInput, TooLarge
from studio9_common.streams.port import StreamMessage, StreamMissing, Streams, StreamsUnavailable


async def take(
    streams: Streams, queue: str, *, limit: int = 10, visibility_s: int | None = None
) -> list[StreamMessage]:
    return await streams.receive(queue, limit=limit, wait_s=5, visibility_s=visibility_s)


async def test_what_was_sent_is_received_once_and_gone_when_deleted(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name)
    identifier = await streams.send(name, '{"ü": "…\\u0000"}', {"organisation": "örg", "kind": "x"})
    (message,) = await take(streams, name)
    assert (message.id, message.body, message.receive_count) == (identifier, '{"ü": "…\\u0000"}', 1)
    assert message.attributes == {"organisation": "örg", "kind": "x"}
    assert await streams.receive(name) == []
    assert await streams.depth(name) == 1
    await streams.delete(name, [message.receipt])
    assert await streams.depth(name) == 0
    await streams.delete(name, [message.receipt])
    await streams.delete(name, [])


async def test_what_is_not_deleted_comes_again_with_a_higher_count(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=1)
    await streams.send(name, "x")
    (first,) = await take(streams, name)
    started = time.monotonic()
    (second,) = await take(streams, name)
    assert time.monotonic() - started > 0.5
    assert (second.id, second.receive_count) == (first.id, 2)
    assert second.receipt != first.receipt


async def test_the_receiver_chooses_how_long_a_message_is_hidden(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=600)
    await streams.send(name, "x")
    assert len(await take(streams, name, visibility_s=1)) == 1
    assert len(await take(streams, name)) == 1
    assert await streams.receive(name) == []


async def test_a_message_can_be_hidden_longer_or_given_back(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=1)
    await streams.send(name, "x")
    (message,) = await take(streams, name)
    await streams.extend(name, message.receipt, 30)
    assert await streams.receive(name, wait_s=2) == []
    await streams.extend(name, message.receipt, 0)
    (again,) = await take(streams, name)
    assert again.receive_count == 2
    await streams.delete(name, [again.receipt])
    await streams.extend(name, again.receipt, 30)


async def test_what_is_received_too_often_goes_to_the_dead_queue(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=0, max_receives=2)
    await streams.send(name, "poison", {"organisation": "o"})
    assert [(await take(streams, name))[0].receive_count for _ in range(2)] == [1, 2]
    assert await streams.receive(name) == []
    (dead,) = await take(streams, f"{name}-dead")
    assert (dead.body, dict(dead.attributes)) == ("poison", {"organisation": "o"})
    assert await streams.depth(name) == 0


async def test_at_most_the_limit_is_received(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name)
    await asyncio.gather(*(streams.send(name, str(number)) for number in range(12)))
    seen: list[StreamMessage] = []
    while len(seen) < 12:
        batch = await take(streams, name, limit=5)
        assert 1 <= len(batch) <= 5
        seen += batch
    assert {message.body for message in seen} == {str(number) for number in range(12)}
    await streams.delete(name, [message.receipt for message in seen])
    assert await streams.depth(name) == 0


async def test_competing_receivers_never_get_the_same_message(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name)
    await asyncio.gather(*(streams.send(name, str(number)) for number in range(20)))
    batches = await asyncio.gather(*(streams.receive(name, limit=3, wait_s=1) for _ in range(10)))
    bodies = [message.body for batch in batches for message in batch]
    assert len(bodies) == len(set(bodies))
    assert len(bodies) >= 10


async def test_a_waiting_receiver_is_woken_by_a_message_and_ends_without_one(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name)
    waiting = asyncio.create_task(streams.receive(name, wait_s=20))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await streams.send(name, "x")
    assert [message.body for message in await waiting] == ["x"]
    assert time.monotonic() - started < 10
    started = time.monotonic()
    assert await streams.receive(name, wait_s=1) == []
    assert 0.9 < time.monotonic() - started < 10


async def test_a_receiver_that_goes_away_keeps_nothing(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=600)
    waiting = asyncio.create_task(streams.receive(name, wait_s=10))
    await asyncio.sleep(0.3)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await streams.send(name, "x")
    assert len(await take(streams, name)) == 1


async def test_a_topic_reaches_every_queue_as_the_bare_body(streams: Streams, name: str, joined: None) -> None:
    await streams.ensure_topic(name)
    await streams.publish(name, "nobody listens yet")
    for queue in (f"{name}-1", f"{name}-2"):
        await streams.ensure_queue(queue)
        await streams.subscribe(name, queue)
        await streams.subscribe(name, queue)
    await streams.publish(name, '{"a": 1}', subject="a subject", attributes={"organisation": "o"})
    for queue in (f"{name}-1", f"{name}-2"):
        (message,) = await take(streams, queue)
        assert (message.body, message.attributes["organisation"]) == ('{"a": 1}', "o")
        assert await streams.receive(queue) == []


async def test_publishing_needs_no_subscriber(streams: Streams, name: str) -> None:
    await streams.ensure_topic(name)
    await streams.ensure_topic(name)
    assert await streams.publish(name, "x", subject="s")


async def test_what_is_missing_is_said_to_be_missing(streams: Streams, name: str) -> None:
    for attempt in (
        streams.send(name, "x"),
        streams.receive(name),
        streams.depth(name),
        streams.delete(name, ["receipt"]),
        streams.publish(name, "x"),
        streams.subscribe(name, name),
    ):
        with pytest.raises(StreamMissing):
            await attempt


async def test_a_queue_can_be_ensured_again_with_other_values(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name, visibility_s=600)
    await streams.send(name, "x")
    await streams.ensure_queue(name, visibility_s=1, max_receives=9)
    assert len(await take(streams, name)) == 1
    assert len(await take(streams, name)) == 1


async def test_limits_are_those_of_sqs(streams: Streams, name: str) -> None:
    await streams.ensure_queue(name)
    await streams.send(name, "x" * 262_144)
    ((big,)) = await take(streams, name)
    assert len(big.body) == 262_144
    with pytest.raises(TooLarge):
        await streams.send(name, "x" * 262_144, {"a": "b"})
    for body in ("", "a\x00b"):
        with pytest.raises(BadInput):
            await streams.send(name, body)
    with pytest.raises(BadInput):
        await streams.send(name, "x", {"a": ""})
    for limit, wait_s, visibility_s in ((0, 0, 1), (11, 0, 1), (1, 21, 1), (1, 0, -1), (1, 0, 43_201)):
        with pytest.raises(BadInput):
            await streams.receive(name, limit=limit, wait_s=wait_s, visibility_s=visibility_s)
    for bad in ("", "a b", "a/b", "x" * 76):
        with pytest.raises(BadInput):
            await streams.ensure_queue(bad)
        with pytest.raises(BadInput):
            await streams.ensure_topic(bad)


async def test_a_ping_says_whether_the_queues_can_be_reached(streams: Streams, out_of_reach: Streams) -> None:
    await streams.ping()
    with pytest.raises(StreamsUnavailable):
        await out_of_reach.ping()
