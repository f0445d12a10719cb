"""Silence that Orion could not have heard is not silence.

Each finished sweep leaves a mark in the store, shared by all Orions. If the last one is too old, or took so long that
its Orion may have been frozen in the middle, nobody listened for a while: until one full lease from now no silence is
judged. An Orion that is cut off from the bus leaves no mark and judges nothing.

Beats are stamped by one Orion and judged by another, so their clocks must agree. A mark from the future says that they
do not: then, too, nothing is judged, until one full lease after the last such mark.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from studio9_common.clients.aries import Document
from studio9_common.contracts.collections import SWEEPS
from studio9_common.logs import logger
from studio9_common.times import Clock, format_time, parse_time
from studio9_orion.store import Store, get, swap

MARK = "deadlines"
_TRIES = 20
_SKEW = 1 / 8
"""How far the clocks of two Orions may be apart, in leases."""


@dataclass(frozen=True, slots=True)
class Ears:
    """What one sweep may judge: nothing that depends on hearing before `deaf_until`."""

    started: datetime
    deaf_until: str | None
    marked: bool
    mark: Document | None = None
    """The last mark as the sweep found it, where it has written none itself."""


class Hearing:
    """Opens and closes sweeps. `can_hear` tells whether this Orion receives beats now."""

    def __init__(
        self, store: Store, clock: Clock, *, name: str, lease_s: float, can_hear: Callable[[], Awaitable[bool]]
    ) -> None:
        self._store, self._clock, self._name, self._lease_s = store, clock, name, lease_s
        self._can_hear = can_hear
        self._log = logger("orion")

    async def begin(self) -> Ears:
        """What the sweep that begins now may judge. A gap is written down before anything is judged by it."""
        started = self._clock.now()
        if not await self._can_hear():
            return Ears(started, format_time(started + timedelta(seconds=self._lease_s)), False)
        for _ in range(_TRIES):
            document = await get(self._store, SWEEPS.name, MARK)
            detail = document.body["detail"] if document else {}
            deaf_until = detail.get("deaf_until")
            finished_at = document.body["finished_at"] if document else None
            # By the clock as it is once this was read: a process that was frozen in between is late, its clock is not.
            read = self._clock.now()
            ahead = self._ahead(finished_at, read) or self._ahead(deaf_until, read, leases=1)
            if ahead:
                self._log.warning("clocks_disagree", mark=finished_at, deaf_until=deaf_until)
            elif not self._gap(finished_at, detail, started):
                return Ears(started, deaf_until, True, document)
            until = format_time(started + timedelta(seconds=self._lease_s))
            deaf_until = until if ahead else max(deaf_until or "", until)
            body = self._mark(started, started, deaf_until)
            if await swap(self._store, SWEEPS.name, MARK, body, document.etag if document else None):
                return Ears(started, deaf_until, True)
        return Ears(started, format_time(started + timedelta(seconds=self._lease_s)), False)

    async def finish(self, ears: Ears) -> None:
        """Leaves the mark of a finished sweep; a later one by another Orion stays."""
        if not ears.marked:
            return
        document = ears.mark
        for _ in range(_TRIES):
            finished = self._clock.now()
            document = document or await get(self._store, SWEEPS.name, MARK)
            known = document.body["detail"].get("deaf_until") if document else None
            if document is not None and document.body["finished_at"] >= format_time(finished):
                return
            deaf_until = max(filter(None, (known, ears.deaf_until)), default=None)
            body = self._mark(ears.started, finished, deaf_until)
            if await swap(self._store, SWEEPS.name, MARK, body, document.etag if document else None):
                return
            document = None  # another sweep was quicker

    def _ahead(self, time: str | None, now: datetime, *, leases: int = 0) -> bool:
        """Whether a time that another Orion wrote lies further in the future than clocks that agree would put it."""
        limit = timedelta(seconds=self._lease_s * (leases + _SKEW))
        return time is not None and parse_time(time) - now > limit

    def _gap(self, finished_at: str | None, detail: dict[str, Any], started: datetime) -> bool:
        if finished_at is None:
            return True
        finished = parse_time(finished_at)
        limit = timedelta(seconds=self._lease_s / 2)
        return started - finished > limit or finished - parse_time(detail["started_at"]) > limit

    def _mark(self, started: datetime, finished: datetime, deaf_until: str | None) -> dict[str, Any]:
        return {
            "organisation": "system",
            "orion": self._name,
            "kind": "deadlines",
            "finished_at": format_time(finished),
            "detail": {"started_at": format_time(started), "deaf_until": deaf_until},
        }
