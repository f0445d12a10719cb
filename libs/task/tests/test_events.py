"""The event file: what is written comes back, and nothing a task does to the file raises in its reader."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio9_task.events import MAX_EVENT, Artifact, Checkpoint, Failed, Metric, Progress, Warned
from studio9_task.layout import TaskFolder
from studio9_task.outputs import write_bytes
from studio9_task.report import EventWriter
from studio9_task.tail import BadEvent, EventReader

LINE = b'{"type":"log","time":"2026-11-21T10:00:00.000000Z","sequence":1,"message":"m","later":"field"}\n'
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_what_is_told_is_read(folder: TaskFolder) -> None:
    with EventWriter(folder.events, folder.outputs) as events:
        events.progress(1.5, remaining_s=3, epoch=1, epochs=2)
        events.metric("map50", 0.5, step=1, split="val")
        events.metric("loss", float("nan"), step=1)
        written = write_bytes(folder.outputs / "a" / "b.bin", b"1234")
        events.artifact("b", written)
        events.checkpoint(written, epoch=1)
        events.failed("user", "bad_input", "x" * 10_000)
    read = EventReader(folder.events).read()
    progress, metric, warning, artifact, checkpoint, failed = read
    assert isinstance(progress, Progress)
    assert progress.value == 1
    assert isinstance(metric, Metric)
    assert (metric.key, metric.value, metric.split) == ("map50", 0.5, "val")
    assert isinstance(warning, Warned)
    assert warning.code == "not_finite"
    assert isinstance(artifact, Artifact)
    assert (artifact.path, artifact.size) == ("a/b.bin", 4)
    assert isinstance(checkpoint, Checkpoint)
    assert isinstance(failed, Failed)
    assert (failed.class_, len(failed.message)) == ("user", 4_000)
    assert [event.sequence for event in read if not isinstance(event, BadEvent)] == [1, 2, 3, 4, 5, 6]
    assert '"class":"user"' in folder.events.read_text()


def test_an_event_too_large_is_refused_by_the_writer(folder: TaskFolder) -> None:
    with (
        EventWriter(folder.events, folder.outputs) as events,
        pytest.raises(ValueError, match="write it to a file"),
    ):
        events.result({"text": "x" * MAX_EVENT})


def test_a_file_that_is_not_there_has_no_events(tmp_path: Path) -> None:
    assert EventReader(tmp_path / "events.jsonl").read() == []


def test_a_half_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + LINE[:20])
    reader = EventReader(path)
    assert len(reader.read()) == 1
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(LINE[20:])
    assert len(reader.read()) == 1
    assert reader.offset == 2 * len(LINE)


def test_an_over_long_line_is_skipped_even_across_readers(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + b"x" * 700_000)
    first = EventReader(path, max_line=1000)
    assert len(first.read()) == 1
    assert first.read() == []
    with path.open("ab") as file:
        file.write(b"y" * 700_000 + b"\n" + LINE)
    for reader in (first, EventReader(path, offset=first.offset, max_line=1000)):
        bad, good = reader.read()
        assert isinstance(bad, BadEvent)
        assert (bad.reason, bad.offset) == ("too_long", len(LINE))
        assert not isinstance(good, BadEvent)


def test_links_pipes_and_shrinking_are_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(LINE)
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        (bad,) = EventReader(tmp_path / name).read()
        assert isinstance(bad, BadEvent)
        assert bad.reason == "not_a_file"
    reader = EventReader(tmp_path / "secret")
    reader.read()
    (tmp_path / "secret").write_bytes(b"")
    (bad,) = reader.read()
    assert isinstance(bad, BadEvent)
    assert bad.reason == "shrunk"
    assert reader.read() == []


@RELAXED
@given(
    parts=st.lists(st.one_of(st.just(LINE), st.binary(max_size=80), st.just(b"\n"), st.just(b'{"type":"new"}\n'))),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    limit=st.integers(1, 5),
)
def test_any_bytes_in_any_portions_give_the_same_events(
    tmp_path: Path, parts: list[bytes], cuts: list[int], limit: int
) -> None:
    content = b"".join(parts)
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    whole = EventReader(path, max_line=120).read()
    path.write_bytes(b"")
    portions: list[object] = []
    offset = 0
    with path.open("ab", buffering=0) as file:
        previous = 0
        for cut in [*sorted(min(cut, len(content)) for cut in cuts), len(content)]:
            file.write(content[previous:cut])
            previous = cut
            reader = EventReader(path, offset, max_line=120)  # as after a restart
            while found := reader.read(limit):
                portions += found
            offset = reader.offset
    assert portions == whole
    ended = content[: content.rfind(b"\n") + 1]
    assert len(whole) == sum(1 for line in ended.split(b"\n") if line.strip())


@RELAXED
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_any_json_is_an_event_or_a_bad_one(tmp_path: Path, value: object) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(value) + "\n")
    (one,) = EventReader(path).read()
    assert isinstance(one, BadEvent)


def test_an_event_that_says_whose_it_is_counts_as_any_other_and_shows_the_claim(folder: TaskFolder) -> None:
    line = json.loads(LINE) | {"message": 'the word "job" alone claims nothing'}
    with folder.events.open("wb") as file:
        for fields in (line, line | {"job": "another", "fence": 9}):
            file.write(json.dumps(fields).encode() + b"\n")
    plain, claiming = EventReader(folder.events).read()
    assert not isinstance(plain, BadEvent)
    assert not isinstance(claiming, BadEvent)
    assert (plain.claims, claiming.claims) == ((), ("job", "fence"))
    assert claiming.model_dump() == plain.model_dump()
