"""The state of a worker as operators see it, from its document."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from studio9_common.times import parse_time

AWAY = "away"
"""Not heard for longer than a lease."""
DRAINED = "drained"
"""Takes no jobs, and has none."""


def shown_state(body: Mapping[str, Any], now: datetime, lease_s: float) -> str:
    """`ready`, `draining` (takes no new job, finishes what it has), `drained`, or `away`."""
    if now - parse_time(body["last_seen"]) > timedelta(seconds=lease_s):
        return AWAY
    state = str(body["state"])
    busy = any(slot.get("job") for slot in body.get("slots", ()))
    return DRAINED if state == "draining" and not busy else state
