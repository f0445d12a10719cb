"""The use of slots as it goes on, and its documents: one per organisation."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from studio9_common.contracts.collections import USAGE
from studio9_common.documents.port import Where
from studio9_common.times import Clock, format_time, parse_time
from studio9_orion.scheduler.model import Share, Shares
from studio9_orion.scheduler.usage import Active, Usage
from studio9_orion.store import Store, find, put_many


class Ledger:
    """See the module's docstring."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._usage = Usage()
        self._active: Active | None = None
        self._saved: dict[str, dict[str, float]] = {}

    def count(
        self, now: datetime, spent: Mapping[Share, float], waiting: Active, active: Active, shares: Shares
    ) -> Shares:
        """The shares with the use up to now, `spent` slot-seconds more than at the last call. Whoever is `active` and
        was not then has come anew."""
        self._usage = self._usage.later(now.timestamp(), spent, waiting, shares)
        if self._active is not None:
            self._usage = self._usage.joined(self._active, active)
        self._active = active
        return replace(shares, usage=self._usage.values)

    async def load(self) -> None:
        """What the Orion that led before has written."""
        values: dict[Share, float] = {}
        at = 0.0
        self._saved = {}
        async for item in find(self._store, USAGE.name, Where()):
            classes: Mapping[str, float] = item.body.get("detail", {}).get("classes", {})
            self._saved[item.id] = dict(classes)
            values |= {(name, item.id): value for name, value in classes.items()}
            at = max(at, parse_time(item.body["updated_at"]).timestamp())
        self._usage = Usage(at or self._clock.now().timestamp(), values)
        self._active = None

    async def save(self) -> None:
        """Writes what has changed since the last time."""
        now = format_time(self._clock.now())
        classes: dict[str, dict[str, float]] = {name: {} for name in self._saved}
        for (name, organisation), value in self._usage.values.items():
            classes.setdefault(organisation, {})[name] = round(value, 3)
        changed = {id: own for id, own in classes.items() if own != self._saved.get(id)}
        documents: list[tuple[str, dict[str, Any]]] = [
            (id, {"organisation": id, "updated_at": now, "value": sum(own.values()), "detail": {"classes": own}})
            for id, own in changed.items()
        ]
        await put_many(self._store, USAGE.name, documents)
        self._saved |= changed
