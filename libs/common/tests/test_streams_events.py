"""Object-created notifications in every form in which they arrive."""

import json
from typing import Any

import pytest

from studio9_common.streams.events import BadEvent, Notification, ObjectCreated, build_event, read_events


def record(key: str, event: str = "ObjectCreated:Put", **described: Any) -> dict[str, Any]:
    return {
        "eventName": event,
        "eventTime": "2026-11-21T10:00:00.000Z",
        "s3": {"bucket": {"name": "in"}, "object": {"key": key, **described}},
    }


def test_a_raw_event_of_several_records_is_read() -> None:
    body = json.dumps(
        {
            "Records": [
                record("in%2Fa+b%C3%BC.png", size=12, eTag='"abc"', versionId="v1"),
                record("c.png", event="s3:ObjectCreated:CompleteMultipartUpload"),
            ]
        }
    )
    assert read_events(body).created == (
        ObjectCreated("in", "in/a bü.png", 12, "abc", "v1", "2026-11-21T10:00:00.000Z"),
        ObjectCreated("in", "c.png", time="2026-11-21T10:00:00.000Z"),
    )


def test_an_event_in_the_envelope_of_sns_is_read() -> None:
    inner = json.dumps({"Records": [record("a.png", size=1)]})
    body = json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": inner})
    assert [found.key for found in read_events(body).created] == ["a.png"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_test_event_creates_nothing(wrapped: bool) -> None:
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"})
    if wrapped:
        body = json.dumps({"Type": "Notification", "Message": body})
    assert read_events(body) == Notification((), ("S3's test event",))


def test_other_events_and_folder_markers_are_left_out_with_a_reason() -> None:
    body = json.dumps(
        {"Records": [record("a", event="ObjectRemoved:Delete"), record("b/", size=0), record("c", size=0), {}]}
    )
    found = read_events(body)
    assert [created.key for created in found.created] == ["c"]
    assert [reason.partition(":")[0] for reason in found.ignored] == ["Records[0]", "Records[1]", "Records[3]"]
    assert "ObjectRemoved:Delete" in found.ignored[0]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        "null",
        "{}",
        '{"Records": {}}',
        '{"Records": [3]}',
        '{"Type": "Notification", "Message": "hello"}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": [], "object": "x"}}]}',
        json.dumps({"Records": [record("")]}),
        json.dumps({"Records": [record("a", size="12")]}),
        json.dumps({"Records": [record("a", size=-1)]}),
    ],
)
def test_what_s3_never_sends_is_a_bad_event(body: str) -> None:
    with pytest.raises(BadEvent):
        read_events(body)


@pytest.mark.parametrize("key", ["a.png", "in/a b+c%.png", "ü/日本.png", "a&b=c?.png"])
def test_a_built_event_is_read_back(key: str) -> None:
    created = ObjectCreated("bucket", key, 5, "tag", "v", "2026-11-21T10:00:00.000Z")
    assert read_events(build_event(created)).created == (created,)
    assert read_events(build_event(ObjectCreated("b", key))).created[0].size is None
