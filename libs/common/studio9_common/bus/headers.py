"""The headers in which the bus keeps its own books, and the rungs of the delay ladder; the same for every adapter."""

from collections.abc import Mapping

from studio9_common.bus.port import DELAYS_S

PREFIX = "studio9-"
FAILURES = "studio9-failures"
"""How often the message failed while its dependencies were healthy, as decimal text."""
ROUTING_KEY = "studio9-routing-key"
"""The routing key of the first publish: a message that went through the ladder comes back under its queue's name."""
DEAD_ID = "studio9-dead-id"
DEAD_QUEUE = "studio9-dead-queue"
DEAD_REASON = "studio9-dead-reason"

REASON_LIMIT = 1000
"""Characters kept of a reason; a broker refuses headers beyond a frame."""


def failures_of(headers: Mapping[str, str]) -> int:
    """The failure count in a message's headers; 0 where there is none or it cannot be read."""
    text = headers.get(FAILURES, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def visible(headers: Mapping[str, str]) -> dict[str, str]:
    """The publisher's own headers, without those of the bus."""
    return {name: value for name, value in headers.items() if not name.startswith(PREFIX)}


def rung(delay_s: float) -> int:
    """The rung for a delay: rounded up to the next of DELAYS_S, or down to the last."""
    return next((step for step in DELAYS_S if step >= delay_s), DELAYS_S[-1])
