"""The documents of workers: written from beats, read by the scheduler and the operators."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from studio9_common.contracts.collections import WORKERS
from studio9_common.contracts.messages import Slot, WorkerBeat
from studio9_common.documents.port import Where
from studio9_common.times import format_time
from studio9_orion.providers.port import Place
from studio9_orion.store import Store, find

SYSTEM = "system"
ISOLATED = frozenset({"docker", "container", "kubernetes"})
"""Runners that give a task a container of its own."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it last showed itself."""

    id: str
    state: str
    last_seen: str
    slots: tuple[Slot, ...]
    labels: frozenset[str] = frozenset()
    runners: tuple[str, ...] = ()

    def places(self, busy: Iterable[str] = (), ended: frozenset[str] = frozenset()) -> list[Place]:
        """Its slots by kind. `busy` are the jobs that Orion has given it, `ended` those that no longer use a slot
        although the last beat still said so; a job that is not in a slot yet takes one of the kind that it will."""
        shown = {slot.job for slot in self.slots if slot.job is not None and slot.job not in ended}
        unseen = sum(1 for job in busy if job not in shown and job not in ended)
        places = []
        for kind in ("cpu", "gpu"):
            mine = [slot for slot in self.slots if slot.kind == kind]
            if not mine:
                continue
            free = [slot for slot in mine if slot.job is None or slot.job in ended]
            taken = min(unseen, len(free))
            unseen -= taken
            memory = min((slot.gpu_memory_free_gib for slot in free), default=max(s.gpu_memory_gib for s in mine))
            places.append(
                Place(
                    worker=self.id,
                    kind="gpu" if kind == "gpu" else "cpu",
                    total=len(mine),
                    free=len(free) - taken if self.state == "ready" else 0,
                    gpu_memory_gib=memory,
                    labels=self.labels,
                    isolated=bool(ISOLATED & set(self.runners)),
                )
            )
        return places


@dataclass
class Workers:
    """Reads and makes workers' documents. What a beat leaves out (catalogue, time of joining) is remembered."""

    store: Store
    _known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    async def documents(self, beats: Iterable[WorkerBeat], now: str) -> list[tuple[str, dict[str, Any]]]:
        """The documents that these beats make. An announcement is looked up once per instance of a worker."""
        latest = {beat.worker: beat for beat in beats}
        unknown = [b.worker for b in latest.values() if (b.worker, b.instance) not in self._known]
        before = {d.id: d.body for d in await self.store.get_many(WORKERS.name, unknown) if d is not None}
        made = []
        for worker, beat in latest.items():
            key = (worker, beat.instance)
            body = self._known.get(key) or before.get(worker, {})
            joined = body.get("joined_at", now)
            same = body.get("worker", {}).get("instance") == beat.instance
            catalogue = beat.announcement or (body.get("catalogue") if same else None)
            document = _document(beat, now, joined, catalogue)
            if catalogue is not None:
                self._known[key] = {name: document[name] for name in ("joined_at", "catalogue", "worker")}
            made.append((worker, document))
        return made

    async def all(self, *, fresh: bool = False) -> list[Worker]:
        """Every worker that was ever seen, the newest beat first."""
        return [
            _worker(item.id, item.body)
            async for item in find(self.store, WORKERS.name, Where(), sort=("-last_seen",), fresh=fresh)
        ]

    async def present(self, now: datetime, lease_s: float) -> list[Worker]:
        """Those that were seen within one lease."""
        where = Where(at_least={"last_seen": format_time(now - timedelta(seconds=lease_s))})
        return [_worker(item.id, item.body) async for item in find(self.store, WORKERS.name, where, fresh=True)]


def seen(beat: WorkerBeat, now: str) -> Worker:
    """The worker as this beat shows it."""
    return _worker(beat.worker, _document(beat, now, now, None))


def _document(beat: WorkerBeat, now: str, joined: str, catalogue: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "organisation": SYSTEM,
        "state": "draining" if beat.draining else "ready",
        "labels": list(beat.labels),
        "last_seen": now,
        "joined_at": joined,
        "slots": [slot.model_dump(mode="json", exclude_none=True) for slot in beat.slots],
        "worker": {"instance": beat.instance, "runners": list(beat.runners), "machine": dict(beat.machine)},
    }
    return body if catalogue is None else {**body, "catalogue": catalogue}


def _worker(id: str, body: dict[str, Any]) -> Worker:
    return Worker(
        id=id,
        state=body["state"],
        last_seen=body["last_seen"],
        slots=tuple(Slot.model_validate(slot) for slot in body.get("slots", ())),
        labels=frozenset(body.get("labels", ())),
        runners=tuple(body.get("worker", {}).get("runners", ())),
    )
