"""The documents of workers: written from beats, read by the scheduler and the operators."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from studio9_common.contracts.collections import WORKERS
from studio9_common.contracts.job import Requirements
from studio9_common.contracts.messages import Slot, WorkerBeat
from studio9_common.documents.port import Where
from studio9_common.times import format_time
from studio9_orion.providers.port import Place
from studio9_orion.store import Store, find

SYSTEM = "system"
KINDS: tuple[Literal["cpu", "gpu"], ...] = ("cpu", "gpu")
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

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs that it shows in its slots."""
        return frozenset(slot.job for slot in self.slots if slot.job is not None)

    def offers(self, other: "Worker") -> bool:
        """Whether it offers the same as `other`: slots, state, labels and runners."""
        mine = (self.slots, self.state, self.labels, self.runners)
        return mine == (other.slots, other.state, other.labels, other.runners)

    def places(
        self, busy: Mapping[str, Requirements] | None = None, ended: frozenset[str] = frozenset()
    ) -> list[Place]:
        """Its slots by kind. `busy` are the jobs that Orion has given it and what they need, `ended` those that no
        longer use a slot although the last beat still said so; a job that is not in a slot yet takes those that it
        will. What a job that has ended had of a GPU is counted as free: the worker judges last."""
        shown = {slot.job for slot in self.slots if slot.job is not None and slot.job not in ended}
        unseen = [needs for job, needs in (busy or {}).items() if job not in shown and job not in ended]
        free: dict[str, list[float]] = {"cpu": [], "gpu": []}
        for slot in self.slots:
            if slot.job is None:
                free[slot.kind].append(slot.gpu_memory_free_gib if slot.kind == "gpu" else 0.0)
            elif slot.job in ended:
                free[slot.kind].append(_memory(slot))
        for room in free.values():
            room.sort()
        for needs in unseen:
            _occupy(free, needs)
        return [self._place(kind, free[kind]) for kind in KINDS if any(slot.kind == kind for slot in self.slots)]

    def _place(self, kind: Literal["cpu", "gpu"], free: list[float]) -> Place:
        memory = tuple(sorted((_memory(slot) for slot in self.slots if slot.kind == kind), reverse=True))
        left = tuple(reversed(free)) if self.state == "ready" else ()
        return Place(
            worker=self.id,
            kind=kind,
            total=len(memory),
            free=len(left),
            gpu_memory_gib=memory[0],
            labels=self.labels,
            isolated=bool(ISOLATED & set(self.runners)),
            slots_gib=memory if kind == "gpu" else (),
            free_gib=left if kind == "gpu" else (),
        )


def _memory(slot: Slot) -> float:
    return max(slot.gpu_memory_gib, slot.gpu_memory_free_gib)


def _occupy(free: dict[str, list[float]], needs: Requirements) -> None:
    """Takes from the free slots what a job will take, as far as it is there."""
    room = free["gpu"] if needs.gpus or not free["cpu"] else free["cpu"]
    first = bisect_left(room, needs.gpu_memory_gib) if needs.gpus else 0
    count = max(needs.gpus, 1)
    first = max(min(first, len(room) - count), 0)
    del room[first : first + count]


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

    async def present(self, now: datetime, lease_s: float, *, but: Collection[str] = ()) -> list[Worker]:
        """Those that were seen within one lease, `but` some."""
        since = format_time(now - timedelta(seconds=lease_s))
        where = Where(at_least={"last_seen": since}, differs={"id": tuple(but)} if but else {})
        return [_worker(item.id, item.body) async for item in find(self.store, WORKERS.name, where, fresh=True)]


def seen(beat: WorkerBeat, now: str) -> Worker:
    """The worker as this beat shows it."""
    state = "draining" if beat.draining else "ready"
    return Worker(beat.worker, state, now, beat.slots, frozenset(beat.labels), beat.runners)


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
