"""What is special about the embedded queues: durability, several processes, the watched folder."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from studio9_common.errors import BadInput
from studio9_common.streams.aws import AwsStreams
from studio9_common.streams.connect import StreamsSettings, open_streams
from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.events import read_events
from studio9_common.streams.folder import FolderWatch
from studio9_common.streams.port import StreamsUnavailable


@pytest.fixture
async def streams(tmp_path: Path) -> AsyncIterator[EmbeddedStreams]:
    opened = EmbeddedStreams(tmp_path / "streams.sqlite")
    await opened.ensure_queue("events", visibility_s=30)
    yield opened
    await opened.close()


SENDER = """
import asyncio, os, sys
from pathlib import Path
from studio9_common.streams.embedded import EmbeddedStreams

async def main():
    streams = EmbeddedStreams(Path(sys.argv[1]))
    await streams.send("events", "from another process")
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_another_process_can_send_and_what_it_sent_outlives_it(streams: EmbeddedStreams, tmp_path: Path) -> None:
    waiting = asyncio.create_task(streams.receive("events", wait_s=20))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", SENDER, str(tmp_path / "streams.sqlite")]
    sender = await asyncio.create_subprocess_exec(*arguments, env=environment)
    assert await sender.wait() == -9
    (message,) = await waiting
    assert message.body == "from another process"


async def test_messages_receipts_and_subscriptions_survive_a_restart(tmp_path: Path) -> None:
    now = 1_000.0
    first = EmbeddedStreams(tmp_path / "s", now=lambda: now)
    await first.ensure_queue("q", visibility_s=30, max_receives=2)
    await first.ensure_topic("t")
    await first.subscribe("t", "q")
    await first.publish("t", "x")
    (taken,) = await first.receive("q")
    await first.close()
    second = EmbeddedStreams(tmp_path / "s", now=lambda: now)
    assert await second.receive("q") == []
    now += 30
    (again,) = await second.receive("q")
    assert again.receive_count == 2
    await second.delete("q", [taken.receipt])
    assert await second.depth("q") == 1, "an old receipt deletes nothing"
    await second.delete("q", [again.receipt])
    assert await second.depth("q") == 0
    await second.close()


async def test_a_receiver_is_woken_at_once_by_a_sender_in_the_same_process(streams: EmbeddedStreams) -> None:
    delays = []
    for _ in range(5):
        waiting = asyncio.create_task(streams.receive("events", wait_s=20))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await streams.send("events", "x")
        await waiting
        delays.append(time.monotonic() - started)
    assert sorted(delays)[2] < 0.2


async def keys(streams: EmbeddedStreams) -> list[str]:
    found = []
    while messages := await streams.receive("events"):
        found += [created.key for message in messages for created in read_events(message.body).created]
        await streams.delete("events", [message.receipt for message in messages])
    return found


async def test_a_finished_file_gives_one_event_and_a_changed_one_another(
    streams: EmbeddedStreams, tmp_path: Path
) -> None:
    root = tmp_path / "in"
    (root / "below ü").mkdir(parents=True)
    watch = FolderWatch(streams, root, bucket="camera", queue="events")
    picture = root / "below ü" / "a+b.png"
    picture.write_bytes(b"half")
    assert await watch.look() == 0, "it may still be written"
    picture.write_bytes(b"half and half")
    assert await watch.look() == 0
    assert await watch.look() == 1
    assert await watch.look() == 0
    (message,) = await streams.receive("events")
    (created,) = read_events(message.body).created
    assert (created.bucket, created.key, created.size) == ("camera", "below ü/a+b.png", 13)
    await streams.delete("events", [message.receipt])

    again = FolderWatch(streams, root, bucket="camera", queue="events")
    assert [await again.look(), await again.look(), await keys(streams)] == [0, 0, []], "known from before the restart"
    picture.write_bytes(b"another picture")
    assert [await again.look(), await again.look(), await keys(streams)] == [0, 1, ["below ü/a+b.png"]]


async def test_unfinished_hidden_and_linked_files_give_none(streams: EmbeddedStreams, tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / ".git").mkdir(parents=True)
    for name in (".hidden.png", "a.png.part", "b.tmp", ".git/c.png"):
        (root / name).write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (root / "link.png").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    watch = FolderWatch(streams, root, bucket="b", queue="events")
    assert [await watch.look(), await watch.look()] == [0, 0]
    (root / "a.png.part").rename(root / "a.png")
    assert [await watch.look(), await watch.look(), await keys(streams)] == [0, 1, ["a.png"]]


async def test_a_folder_that_is_not_there_yet_is_only_empty(streams: EmbeddedStreams, tmp_path: Path) -> None:
    watch = FolderWatch(streams, tmp_path / "later", bucket="b", queue="events", settle_s=0.05)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0.1)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.png").write_bytes(b"x")
    messages = await streams.receive("events", wait_s=10)
    running.cancel()
    assert [created.key for message in messages for created in read_events(message.body).created] == ["a.png"]


async def test_an_unusable_file_is_said_to_be_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StreamsUnavailable):
        EmbeddedStreams(tmp_path / "folder")


async def test_an_address_names_its_adapter(tmp_path: Path) -> None:
    embedded = open_streams(StreamsSettings(url=(tmp_path / "s").as_uri()))
    assert isinstance(embedded, EmbeddedStreams)
    await embedded.close()
    settings = StreamsSettings(
        url="aws://eu-west-1", access_key="id", secret_key=SecretStr("hidden"), sqs_endpoint="http://127.0.0.1:9"
    )
    assert "hidden" not in repr(settings)
    aws = open_streams(settings)
    assert isinstance(aws, AwsStreams)
    with pytest.raises(StreamsUnavailable):
        await aws.depth("q")
    await aws.close()
    with pytest.raises(BadInput, match="address"):
        open_streams(StreamsSettings(url="amqp://x"))
