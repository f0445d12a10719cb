"""Between the bus's messages and AMQP's: headers are text, everything of the broker's own is left out."""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import pamqp.frame
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from studio9_common.bus.headers import ROUTING_KEY
from studio9_common.bus.rabbitmq.topology import EXCHANGE

JSON = "application/json"
_PLAIN = struct.Struct(">BHIHHQHB")
_PLAIN_FLAGS = 1 << 15 | 1 << 12 | 1 << 7
"""Of the properties there are: content type, delivery mode, message id."""
_END = b"\xce"


class Properties(NamedTuple):
    """What the broker is told about a message."""

    message_id: str
    headers: Mapping[str, str]
    persistent: bool
    expires_s: float | None

    def frame(self, channel: int, size: int) -> bytes:
        """The content header of a body of so many bytes. Most messages have neither headers nor an end: theirs is
        written down here, in a tenth of the time that the library takes."""
        name = self.message_id.encode()
        if self.headers or self.expires_s is not None or not 0 < len(name) < 256:
            return pamqp.frame.marshal(ContentHeader(properties=self.in_full(), body_size=size), channel)
        rest = b"%b%c%c%b" % (JSON.encode(), 2 if self.persistent else 1, len(name), name)
        return _PLAIN.pack(2, channel, 15 + len(rest), 60, 0, size, _PLAIN_FLAGS, len(JSON)) + rest + _END

    def in_full(self) -> Basic.Properties:
        """As the library has it."""
        return Basic.Properties(
            content_type=JSON,
            delivery_mode=2 if self.persistent else 1,
            message_id=self.message_id,
            headers=dict(self.headers) if self.headers else None,
            expiration=None if self.expires_s is None else str(max(0, round(self.expires_s * 1000))),
        )


def text_headers(message: DeliveredMessage) -> dict[str, str]:
    """All text headers, those of the bus itself included; a broker's `x-` headers are not text or not ours."""
    found: Mapping[str, Any] | None = message.header.properties.headers
    if not found:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str) and not name.startswith("x-")}


def routing_key_of(message: DeliveredMessage, headers: Mapping[str, str]) -> str:
    """The key of the first publish, also after a way through the ladder. What comes from the topic exchange itself says
    it to the broker, whatever its headers hold: a user's permissions are about that key."""
    own = message.routing_key or ""
    return own if message.exchange == EXCHANGE else headers.get(ROUTING_KEY) or own


def deaths(message: DeliveredMessage) -> list[dict[str, Any]]:
    """What the broker wrote when it moved the message on, the latest first."""
    found = (message.header.properties.headers or {}).get("x-death")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
