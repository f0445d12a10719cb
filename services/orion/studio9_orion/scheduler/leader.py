"""Which Orion schedules: an epoch in the store, taken by compare-and-set. Economy, not a fence: assignments carry the
epoch, but what keeps them correct is the job's own compare-and-set and the worker as last judge of its slots.
"""

from datetime import timedelta

from studio9_common.contracts.collections import SCHEDULER
from studio9_common.contracts.waiting import POOL
from studio9_common.times import Clock, format_time, parse_time
from studio9_orion.store import Store, get, swap

EPOCH = "epoch"


class Leader:
    """`epoch` is 0 until this Orion schedules. `stale_s`: after how long without a sign another may take over."""

    def __init__(self, store: Store, clock: Clock, *, name: str, stale_s: float) -> None:
        self._store, self._clock, self._name, self._stale_s = store, clock, name, stale_s
        self.epoch = 0

    async def lead(self, *, take: bool = False) -> bool:
        """Whether this Orion schedules; says so in the store. `take`: it is the active consumer, so it takes over
        even from one that still shows itself."""
        now = self._clock.now()
        document = await get(self._store, SCHEDULER.name, EPOCH)
        epoch, owner, updated = 0, "", now - timedelta(seconds=2 * self._stale_s)
        if document is not None:
            epoch, owner = document.body["epoch"], document.body["snapshot"]["owner"]
            updated = parse_time(document.body["updated_at"])
        mine = owner == self._name and epoch == self.epoch
        if not (mine or take or (now - updated).total_seconds() > self._stale_s):
            self.epoch = 0
            return False
        epoch = epoch if mine else epoch + 1
        body = {
            "organisation": "system",
            "pool": POOL,
            "epoch": epoch,
            "updated_at": format_time(now),
            "snapshot": {"owner": self._name},
        }
        done = await swap(self._store, SCHEDULER.name, EPOCH, body, document.etag if document else None)
        self.epoch = epoch if done else 0
        return done
