"""Between the bus's messages and AMQP's: headers are text, everything of the broker's own is left out."""

from collections.abc import Mapping
from typing import Any

from aiormq.abc import DeliveredMessage

from studio9_common.bus.headers import ROUTING_KEY
from studio9_common.bus.rabbitmq.topology import EXCHANGE


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
