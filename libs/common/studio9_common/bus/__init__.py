"""The bus port: messages between services. `open_bus` picks the adapter by the address's scheme."""

from studio9_common.bus.connect import open_bus
from studio9_common.bus.port import (
    DELAYS_S,
    FAILURE_LIMIT,
    BadMessage,
    Bus,
    BusUnavailable,
    Consumer,
    DeadLetter,
    Delivery,
    Outgoing,
    Queue,
    QueueGone,
    QueueMismatch,
    Unroutable,
)
from studio9_common.bus.subscriber import Subscriber, each

__all__ = [
    "DELAYS_S",
    "FAILURE_LIMIT",
    "BadMessage",
    "Bus",
    "BusUnavailable",
    "Consumer",
    "DeadLetter",
    "Delivery",
    "Outgoing",
    "Queue",
    "QueueGone",
    "QueueMismatch",
    "Subscriber",
    "Unroutable",
    "each",
    "open_bus",
]
