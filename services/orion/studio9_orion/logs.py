"""The last log lines of an attempt: from its telemetry, or, where that is gone, from how it ended."""

from typing import Any

from studio9_common.contracts.collections import TELEMETRY
from studio9_common.contracts.job import Job
from studio9_common.documents.port import Where
from studio9_orion.store import Store, find

PAGES = 50
"""Batches of telemetry that are looked through for log lines."""


async def last_lines(store: Store, job: Job, *, fence: int | None = None, lines: int = 50) -> list[dict[str, Any]]:
    """At most `lines`, the oldest first, of the attempt with this fence (the last one by default). Telemetry is up to
    a second behind."""
    attempts = [one for one in job.attempts if fence in (None, one.fence)]
    if not attempts:
        return []
    attempt = attempts[-1]
    found: list[dict[str, Any]] = []
    where = Where(equals={"job": job.id, "fence": attempt.fence})
    async for batch in find(store, TELEMETRY.name, where, sort=("-sequence",), most=PAGES):
        logs = [item for item in batch.body["items"] if item.get("kind") in ("log", "warning")]
        found = [_line(item) for item in logs] + found
        if len(found) >= lines:
            return found[-lines:]
    if not found and attempt.exit is not None:
        found = [{"message": text} for text in attempt.exit.log_tail]
    return found[-lines:]


def _line(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in ("time", "level", "message") if name in item}
