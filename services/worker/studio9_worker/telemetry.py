"""Telemetry: a task's events as batches under 64 KiB, at most one a second, each with an id that a repeat keeps.

A batch's sequence is the byte of the event file where it begins. Before it is published its bounds are written down,
so an agent that died in between publishes exactly the same batch again under the same id.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio9_common.contracts.messages import TelemetryItem
from studio9_task.clock import now
from studio9_task.events import CLAIMS, Artifact, Checkpoint, Event, Failed, Log, Metric, Progress, Warned
from studio9_task.tail import BadEvent, EventReader
from studio9_worker.records import Cursor

MAX_BYTES = 48 * 1024
"""Of a batch's items; with the envelope it stays below 64 KiB."""

MAX_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Items between two places of an event file."""

    cursor: Cursor
    items: tuple[TelemetryItem, ...]


class BatchReader:
    """Cuts an event file into batches from a byte on. A cursor given at first is read again exactly."""

    def __init__(self, path: Path, cursor: Cursor | None = None) -> None:
        self._reader = EventReader(path, cursor.start if cursor else 0)
        self._again = cursor

    async def next(self) -> Batch | None:
        """The next batch; None when there is nothing new."""
        return await asyncio.to_thread(self._next)

    def _next(self) -> Batch | None:
        """Batches whose events are no telemetry are read past."""
        while True:
            batch = self._cut()
            if batch is None or batch.items:
                return batch

    def _cut(self) -> Batch | None:
        again, self._again = self._again, None
        start, size = self._reader.offset, 0
        lines: list[Event | BadEvent] = []
        while len(lines) < (again.lines if again else MAX_LINES):
            before = self._reader.offset
            found = self._reader.read(1)
            if not found:
                break
            size += _cost(found[0])
            if lines and again is None and size > MAX_BYTES:
                self._reader.offset = before  # it opens the next batch
                break
            lines += found
        return Batch(Cursor(start, len(lines)), items_of(lines)) if lines else None


def items_of(events: Sequence[Event | BadEvent]) -> tuple[TelemetryItem, ...]:
    """The telemetry of some events: all but the result, and of progress the last only; what they claim is noted."""
    last = max((index for index, event in enumerate(events) if isinstance(event, Progress)), default=-1)
    time, items = now(), []
    for index, event in enumerate(events):
        time = time if isinstance(event, BadEvent) else event.time
        if not isinstance(event, Progress) or index == last:
            item = _item(event, time)
            items += [] if item is None else [item]
    claimed = {name for event in events if not isinstance(event, BadEvent) for name in event.claims}
    if claimed:
        text = f"events say whose they are ({', '.join(sorted(claimed, key=CLAIMS.index))}): that is ignored"
        items.append(TelemetryItem(kind="warning", time=time, level="warning", key="claims_ignored", message=text))
    return tuple(items)


def _item(event: Event | BadEvent, time: str) -> TelemetryItem | None:
    """One event as telemetry; None for a result, which has its own message."""
    match event:
        case Progress():
            return TelemetryItem(kind="progress", time=time, value=event.value, step=event.epoch)
        case Metric():
            return TelemetryItem(
                kind="metric", time=time, key=event.key, value=event.value, step=event.step, split=event.split
            )
        case Log():
            return TelemetryItem(kind="log", time=time, level=event.level, message=event.message)
        case Warned():
            return TelemetryItem(kind="warning", time=time, level="warning", key=event.code, message=event.message)
        case Checkpoint():
            return TelemetryItem(kind="checkpoint", time=time, key=event.path, step=event.epoch)
        case Artifact():
            return TelemetryItem(kind="artifact", time=time, key=event.name, message=event.path)
        case Failed():
            return TelemetryItem(kind="log", time=time, level="error", key=event.code, message=event.message)
        case BadEvent():
            text = f"byte {event.offset}: {event.reason}: {event.detail}"
            return TelemetryItem(kind="warning", time=time, level="warning", key="unreadable_event", message=text)
        case _:
            return None


def _cost(event: Event | BadEvent) -> int:
    item = _item(event, "")
    return 0 if item is None else len(item.model_dump_json().encode()) + len(TIME) + 2


TIME = "2026-01-01T00:00:00.000000Z"
