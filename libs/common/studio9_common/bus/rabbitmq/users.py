"""What a broker user of a machine that joined may do, and how RabbitMQ stores a password.

A member reaches its own queues and three routing keys, no more: the delay ladder and the dead letters are closed to it,
since what is published there ends in a queue that the message itself names. Its bus has the topology "member".
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from studio9_common.bus.rabbitmq.topology import EXCHANGE

PASSWORD_HASHING = "rabbit_password_hashing_sha256"
_SAYS = r"worker\.(beat|telemetry|result)"
WORKER_MAY_PUBLISH = rf"^{_SAYS}(\.|$)"
"""All that the platform's own workers, which share one user, may say on the topic exchange."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Regular expressions, as RabbitMQ's permissions (of exchanges and queues) and topic permissions (of routing keys
    on the topic exchange) are."""

    configure: str
    write: str
    read: str
    topic_write: str
    topic_read: str


def password_hash(password: str, salt: bytes) -> str:
    """RabbitMQ's stored form of a password (rabbit_password_hashing_sha256); `salt` is 4 bytes."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def member_permissions(worker: str) -> Permissions:
    """Those of one worker: its own queues, what may be bound to them, what it may say, in its own name."""
    own = rf"worker\.{re.escape(worker)}\."
    return Permissions(
        configure=f"^{own}",
        write=rf"^({EXCHANGE}$|{own})",
        read=rf"^({EXCHANGE}$|{own})",
        topic_write=rf"^{_SAYS}\.{re.escape(worker)}$",
        topic_read=rf"^(worker\.(run|cancel|drain|lease)\.{re.escape(worker)}|config\.changed)$",
    )
