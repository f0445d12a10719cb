"""The orphan sweep: looks independently for what jobs left behind, and says what it removed and why.

It starts from ended jobs of which something was heard lately, so it touches only its own installation and only what a
real-time read shows to be over; and it lets checkpoints go that have been kept for long enough.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from studio9_common.contracts.collections import SWEEPS
from studio9_common.contracts.job import TERMINAL, Job, Phase
from studio9_common.logs import logger
from studio9_common.times import format_time, parse_time
from studio9_orion.cleaner import Cleaner
from studio9_orion.joining.members import forget_removed
from studio9_orion.shell import Shell
from studio9_orion.store import get, put_many

MARK = "orphans"
LOOK_BACK_S = 900.0
"""Ended jobs that changed within this time are looked at in each sweep: an attempt that was cut off may still upload,
and does so just when an outage ends, which is when the job is cleaned up."""
RETENTION_STEP_S = 6 * 3_600.0
"""How much time one sweep may catch up on old checkpoints."""


@dataclass(slots=True)
class Removed:
    """What one sweep removed: objects by prefix, and why."""

    objects: dict[str, int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def add(self, objects: dict[str, int], why: str) -> None:
        self.objects |= objects
        self.why |= dict.fromkeys(objects, why)


class OrphanSweeper:
    """See the module's docstring. `sweep` is called every `orphan_tick_s`."""

    def __init__(self, shell: Shell, cleaner: Cleaner, *, name: str) -> None:
        self._shell, self._cleaner, self._name = shell, cleaner, name
        self._log = logger("orion")

    async def sweep(self) -> Removed:
        """One sweep, recorded when it is finished. Raises Unavailable while store or objects are away."""
        now = self._shell.clock.now()
        removed = Removed()
        since = _before(now, LOOK_BACK_S)
        recent = [job.id async for job in self._shell.jobs.ended_and_changed(since, format_time(now))]
        clean = [job for job in await self._over(recent) if job.phase is Phase.clean]
        for job in clean:
            if _may_have_left(job):
                removed.add(await self._cleaner.remove_objects(job), "left behind by a job that has ended")
        removed.add(await self._cleaner.empty_children(clean), "made for the task of a job that has ended")
        cursor = await self._release_checkpoints(now, removed)
        await forget_removed(self._shell.jobs.store, since)
        await self._record(now, cursor, removed)
        for prefix, count in removed.objects.items():
            self._log.info("orphans_removed", prefix=prefix, objects=count, why=removed.why[prefix])
        return removed

    async def _release_checkpoints(self, now: datetime, removed: Removed) -> str:
        """Removes the checkpoints of failed and cancelled jobs that ended `keep_checkpoints_s` ago; goes on where the
        last sweep stopped."""
        mark = await get(self._shell.jobs.store, SWEEPS.name, MARK)
        limit = now - timedelta(seconds=self._shell.policy.keep_checkpoints_s)
        since = mark.body["detail"].get("checkpoints_until") if mark else None
        if since is None:
            return format_time(limit)
        until = format_time(min(limit, parse_time(since) + timedelta(seconds=RETENTION_STEP_S)))
        if until <= since:
            return str(since)
        old = [job.id async for job in self._shell.jobs.ended(since, until)]
        for job in await self._over(old):
            objects = await self._cleaner.remove_objects(job, with_checkpoint=False)
            removed.add(objects, "checkpoint kept for long enough")
        return until

    async def _over(self, ids: list[str]) -> list[Job]:
        found = await self._shell.jobs.load_many(ids)
        return [item.job for item in found.values() if item.job.state in TERMINAL]

    async def _record(self, started: datetime, cursor: str, removed: Removed) -> None:
        listed = list(removed.objects.items())[:100]
        detail: dict[str, Any] = {
            "started_at": format_time(started),
            "checkpoints_until": cursor,
            "removed": [{"prefix": prefix, "objects": n, "why": removed.why[prefix]} for prefix, n in listed],
        }
        finished = format_time(self._shell.clock.now())
        body = {"organisation": "system", "orion": self._name, "kind": MARK, "finished_at": finished, "detail": detail}
        await put_many(self._shell.jobs.store, SWEEPS.name, [(MARK, body)])


def _may_have_left(job: Job) -> bool:
    """Whether an attempt may have gone on after Orion had given it up; a result that was reported ends its uploads."""
    return job.fence > 1 or any(attempt.exit is None for attempt in job.attempts)


def _before(now: datetime, seconds: float) -> str:
    return format_time(now - timedelta(seconds=seconds))
