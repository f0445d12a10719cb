"""The envelope of every message: CloudEvents 1.0, structured JSON mode (https://github.com/cloudevents/spec).

Attributes: specversion, id, type, source (the service), subject (the job, where there is one), time, datacontenttype,
and the extensions `organisation` and `traceparent` (W3C Trace Context).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from studio9_common.bus.port import BadMessage, Outgoing
from studio9_common.contracts.messages import MAX_MESSAGE, MESSAGES, Message
from studio9_common.errors import BadInput, TooLarge
from studio9_common.ids import new_id
from studio9_common.times import format_time

SYSTEM = "system"
"""The reserved organisation of what belongs to none: beats, workers, sweep marks."""


class BadEnvelope(BadMessage, BadInput):
    """This is not a message of Studio9: not CloudEvents 1.0 in JSON, of an unknown type, or its data does not fit."""

    code = "bad_envelope"


class MessageTooLarge(TooLarge):
    """A message is at most 64 KiB; write what is larger as an object and send its key and hash."""

    code = "message_too_large"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A received message. `id` is the same when the same message comes again."""

    id: str
    type: str
    source: str
    organisation: str
    time: str
    data: Message
    subject: str | None = None
    traceparent: str | None = None


def encode(
    data: Message,
    *,
    source: str,
    organisation: str,
    id: str | None = None,
    traceparent: str | None = None,
    now: datetime | None = None,
    mandatory: bool = False,
    expires_s: float | None = None,
) -> Outgoing:
    """The bus message of `data`. Raises MessageTooLarge over 64 KiB."""
    identifier = id or new_id()
    subject = vars(data).get("job")
    head = {
        "specversion": "1.0",
        "id": identifier,
        "type": data.type,
        "source": f"/studio9/{source}",
        "time": format_time(now or datetime.now(UTC)),
        "datacontenttype": "application/json",
        "organisation": organisation,
    }
    if subject:
        head["subject"] = subject
    if traceparent:
        head["traceparent"] = traceparent
    body = b'%b,"data":%b}' % (to_json(head)[:-1], data.__pydantic_serializer__.to_json(data))
    if len(body) > MAX_MESSAGE:
        raise MessageTooLarge(f"{data.type} of {len(body)} bytes is over {MAX_MESSAGE}", field="data")
    return Outgoing(
        routing_key=data.route(),
        body=body,
        message_id=identifier,
        mandatory=mandatory,
        persistent=not data.transient,
        expires_s=expires_s,
    )


def decode(body: bytes) -> Envelope:
    """The envelope of a received body. Raises BadEnvelope, naming what does not fit."""
    try:
        head = from_json(body)
    except ValueError as error:
        raise BadEnvelope(f"the body is not JSON: {error}") from None
    if not isinstance(head, dict) or head.get("specversion") != "1.0":
        raise BadEnvelope("the body is not a CloudEvents 1.0 object", field="specversion")
    kind = MESSAGES.get(str(head.get("type")))
    if kind is None:
        raise BadEnvelope(f"no message has the type {head.get('type')!r}", field="type", value=head.get("type"))
    for name in ("id", "source", "time", "organisation"):
        if not isinstance(head.get(name), str) or not head[name]:
            raise BadEnvelope(f"the attribute {name} is missing", field=name)
    try:
        data = kind.model_validate(head.get("data"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(("data", *map(str, first["loc"])))
        raise BadEnvelope(f"{where}: {first['msg']}", field=where) from None
    return Envelope(
        id=head["id"],
        type=head["type"],
        source=head["source"],
        organisation=head["organisation"],
        time=head["time"],
        data=data,
        subject=head.get("subject"),
        traceparent=head.get("traceparent"),
    )
