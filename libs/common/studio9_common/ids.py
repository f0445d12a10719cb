"""Ids: UUIDv7 text (RFC 9562, section 5.7), globally unique and ordered by their creation time.

The first 48 bits are the Unix time in milliseconds. The index in which a job, its attempts and its telemetry
are stored follows from that time (`month_of`), never from today's date, so that an id alone finds its document.
"""

import os
import re
import time
import uuid
from datetime import UTC, datetime
from functools import lru_cache

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id(*, now_ms: int | None = None, entropy: bytes | None = None) -> str:
    """A new UUIDv7 as lower-case text.

    `now_ms` (Unix time in milliseconds) and `entropy` (10 bytes) are given by simulations and tests only.
    """
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = os.urandom(10) if entropy is None else entropy
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(random, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def is_id(text: str) -> bool:
    """Whether `text` is a UUIDv7 in the canonical lower-case form."""
    return _CANONICAL.fullmatch(text) is not None


def created_at(identifier: str) -> datetime:
    """The UTC time (millisecond precision) at which a UUIDv7 was made. Raises ValueError for other text."""
    value = uuid.UUID(identifier)
    if value.version != 7:
        raise ValueError(f"{identifier!r} is not a UUIDv7; ids of Studio9 are made by new_id()")
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


@lru_cache(8_192)  # a document is written several times, and looked up more often
def month_of(identifier: str) -> str:
    """The month of an id's creation, such as `2026.11`: the suffix of the index that holds its documents."""
    return created_at(identifier).strftime("%Y.%m")
