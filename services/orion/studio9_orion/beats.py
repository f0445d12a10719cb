"""One small document per attempt that a worker has: when it was last heard, and for how long that holds.

Never part of the job's document: two thousand running jobs are not rewritten every 5 s.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from studio9_common.clients.aries import BulkItem
from studio9_common.contracts.collections import BEATS
from studio9_common.contracts.messages import AttemptBeat
from studio9_common.documents.port import Where
from studio9_orion.store import Store, check, delete_many, find, put_many

Key = tuple[str, int]


def beat_id(job: str, fence: int) -> str:
    return f"{job}:{fence}"


class Heard(NamedTuple):
    """What a worker told of an attempt, when, and until when that holds."""

    worker: str
    beat: AttemptBeat
    received_at: str
    lease_until: str


class Beats:
    """See the module's docstring."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, heard: Sequence[tuple[str, AttemptBeat]], received_at: str, lease_until: str) -> None:
        """Notes what (worker, attempt) were heard at a time."""
        await put_many(
            self._store,
            BEATS.name,
            [
                (beat_id(beat.job, beat.fence), _document(worker, beat, received_at, lease_until))
                for worker, beat in heard
            ],
        )

    async def put_first(self, heard: Sequence[Heard]) -> list[Heard]:
        """Notes first beats, those that were heard a while ago; gives those that were noted. What another Orion has
        noted meanwhile is newer and stays: one that was frozen would take the attempt's lease back to the past."""
        if not heard:
            return []
        items = [
            BulkItem(action="create", id=beat_id(one.beat.job, one.beat.fence), body=_document(*one)) for one in heard
        ]
        outcomes = await self._store.bulk(BEATS.name, items)
        return [one for one, outcome in zip(heard, outcomes, strict=True) if check(BEATS.name, outcome)]

    async def heard_until(self, keys: Iterable[Key]) -> dict[Key, str]:
        """Until when each attempt's last beat holds, in real time; those never heard are missing."""
        wanted = list(dict.fromkeys(keys))
        found = await self._store.get_many(BEATS.name, [beat_id(*key) for key in wanted])
        return {key: item.body["lease_until"] for key, item in zip(wanted, found, strict=True) if item is not None}

    async def silent(self, now: str, *, most: int) -> AsyncIterator[Key]:
        """Attempts whose last beat no longer holds, the longest silent first."""
        where = Where(below={"lease_until": now})
        async for item in find(self._store, BEATS.name, where, sort=("lease_until",), most=most, fresh=True):
            yield item.body["job"], item.body["fence"]

    async def delete(self, keys: Iterable[Key]) -> None:
        await delete_many(self._store, BEATS.name, [beat_id(*key) for key in keys])


def _document(worker: str, beat: AttemptBeat, received_at: str, lease_until: str) -> dict[str, Any]:
    body = {
        "organisation": beat.organisation,
        "job": beat.job,
        "fence": beat.fence,
        "worker": worker,
        "sequence": beat.sequence,
        "phase": beat.phase,
        "progress": beat.progress,
        "received_at": received_at,
        "lease_until": lease_until,
        "detail": {
            "remaining_s": beat.remaining_s,
            "epoch": beat.epoch,
            "epochs": beat.epochs,
            "metrics": dict(beat.metrics),
            "metrics_step": beat.metrics_step,
        },
    }
    return {key: value for key, value in body.items() if value is not None}
