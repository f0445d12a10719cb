"""What workers' machines measured, as history: from beats, one document a minute and worker, among the telemetry.

Its id follows from the minute and the worker, so that several Orions write the same one, and it goes with its month.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from studio9_common.contracts.collections import TELEMETRY
from studio9_common.contracts.envelope import SYSTEM
from studio9_common.contracts.messages import WorkerBeat
from studio9_common.documents.port import Where
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.times import format_time
from studio9_orion.store import Store, find, put_many

KIND = "machine"
EVERY_S = 60
REMEMBERED = 10_000


class Machines:
    """Writes the first beat of each minute, and reads them back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[str, int] = {}

    async def note(self, beats: Iterable[WorkerBeat], now: datetime) -> None:
        """Keeps what is new. Nothing hangs on it: what the store does not take is left out."""
        minute = int(now.timestamp()) // EVERY_S
        fresh = [beat for beat in beats if beat.machine and self._written.get(beat.worker) != minute]
        if not fresh:
            return
        if len(self._written) > REMEMBERED:
            self._written.clear()
        self._written.update((beat.worker, minute) for beat in fresh)
        try:
            await put_many(self._store, TELEMETRY.name, [_document(beat, minute, now) for beat in fresh])
        except Studio9Error as error:
            logger("orion").warning("machines_not_written", reason=error.message, count=len(fresh))

    async def history(self, worker: str, now: datetime, hours: float) -> list[dict[str, Any]]:
        """What a worker's machine measured lately, the oldest first."""
        since = format_time(now - timedelta(hours=hours))
        where = Where(equals={"kind": KIND, "key": worker}, at_least={"time": since})
        hits = find(self._store, TELEMETRY.name, where, sort=("time",), fresh=True)
        return [
            {"time": item.body["time"], "machine": {one["key"]: one["value"] for one in item.body["items"]}}
            async for item in hits
        ]


def _document(beat: WorkerBeat, minute: int, now: datetime) -> tuple[str, dict[str, Any]]:
    entropy = hashlib.sha256(beat.worker.encode()).digest()[:10]
    own = new_id(now_ms=minute * EVERY_S * 1000, entropy=entropy)
    body = {
        "organisation": SYSTEM,
        "job": own,  # it belongs to none, and telemetry's ids are made of one
        "fence": 0,
        "sequence": 0,
        "kind": KIND,
        "key": beat.worker,
        "time": format_time(now),
        "items": [{"key": name, "value": value} for name, value in sorted(beat.machine.items())],
    }
    return f"{own}:0:0", body
