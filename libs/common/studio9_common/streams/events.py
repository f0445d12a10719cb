"""S3's object-created notifications: read in every form in which they arrive, and built in S3's own.

Format: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html, raw or as the
`Message` of an SNS notification. MinIO's `s3:ObjectCreated:…` names are read too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from studio9_common.errors import BadInput


class BadEvent(BadInput):
    """This is no notification of S3; connect only S3's object-created notifications to the queue."""

    code = "bad_event"


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object has appeared. `size` in bytes; `version` only in buckets that keep versions."""

    bucket: str
    key: str
    size: int | None = None
    etag: str | None = None
    version: str | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """What one message said: objects that were created, and why its other records were left out."""

    created: tuple[ObjectCreated, ...]
    ignored: tuple[str, ...] = ()


def read_events(body: str) -> Notification:
    """Reads one message. Raises BadEvent if it is nothing that S3 sends."""
    event = _object(body)
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):
        event = _object(event["Message"])
    if event.get("Event") == "s3:TestEvent":
        return Notification((), ("S3's test event",))
    records = event.get("Records")
    if not isinstance(records, list):
        raise BadEvent("the message holds no `Records`", field="Records")
    created: list[ObjectCreated] = []
    ignored: list[str] = []
    for number, record in enumerate(records):
        where = f"Records[{number}]"
        if not isinstance(record, dict):
            raise BadEvent(f"{where} is not an object", field=where)
        name = str(record.get("eventName", "")).removeprefix("s3:")
        if not name.startswith("ObjectCreated:"):
            ignored.append(f"{where}: the event {name or 'without a name'} creates nothing")
            continue
        found = _created(record, where)
        if found.key.endswith("/") and not found.size:
            ignored.append(f"{where}: {found.key} is a folder's marker")
        else:
            created.append(found)
    return Notification(tuple(created), tuple(ignored))


def build_event(created: ObjectCreated, *, region: str = "local", event: str = "ObjectCreated:Put") -> str:
    """One notification in S3's form, version 2.1."""
    described = {
        "key": quote_plus(created.key, safe="/"),
        "size": created.size,
        "eTag": created.etag,
        "versionId": created.version,
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": created.time or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": created.bucket, "arn": f"arn:aws:s3:::{created.bucket}"},
            "object": {name: value for name, value in described.items() if value is not None},
        },
    }
    return json.dumps({"Records": [record]})


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadEvent(f"the message is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadEvent("the message is not a JSON object")
    return value


def _created(record: Mapping[str, Any], where: str) -> ObjectCreated:
    try:
        described = record["s3"]["object"]
        bucket, key = record["s3"]["bucket"]["name"], described["key"]
    except (KeyError, TypeError) as error:
        raise BadEvent(f"{where} lacks {error}", field=where) from None
    size = described.get("size")
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise BadEvent(f"{where}: bucket and key must be text", field=where)
    if size is not None and (not isinstance(size, int) or size < 0):
        raise BadEvent(f"{where}: the size {size!r} is no number of bytes", field=f"{where}.s3.object.size")
    return ObjectCreated(
        bucket=bucket,
        key=unquote_plus(key),
        size=size,
        etag=_text(described.get("eTag")),
        version=_text(described.get("versionId")),
        time=_text(record.get("eventTime")),
    )


def _text(value: object) -> str | None:
    return value.strip('"') if isinstance(value, str) and value else None
