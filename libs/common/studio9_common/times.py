"""Times: UTC, RFC 3339 with microseconds and `Z`. Durations are seconds; Orion alone judges a job's deadlines."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time from; simulations pass their own."""

    def now(self) -> datetime:
        """Wall-clock time in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that go on while the machine sleeps (CLOCK_BOOTTIME); only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@lru_cache(64)  # one moment is written down many times
def format_time(value: datetime) -> str:
    """RFC 3339 text in UTC, always with six digits of microseconds, so that text order is time order."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored; pass an aware datetime")
    text = (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(timespec="microseconds")
    return f"{text[:26]}Z"


def parse_time(text: str) -> datetime:
    """The aware UTC datetime of RFC 3339 text. Raises ValueError for anything else or for a missing zone."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write RFC 3339 with Z")
    return value.astimezone(UTC)
