"""Moments as text, and durations that count through a suspended machine. Standard library only."""

import time
from datetime import UTC, datetime


def now() -> str:
    """The present moment: UTC, RFC 3339, microseconds, `Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def elapsed() -> float:
    """Seconds since some moment, counted while the machine sleeps too, untouched by changes of its date."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)
