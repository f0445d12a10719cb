"""Announces changes: published with the broker's confirm, cleared afterwards, swept up when either failed."""

import asyncio
import contextlib
from datetime import timedelta

from studio9_argo.collections import ENTRIES
from studio9_argo.domain import Setting, message_of
from studio9_common.bus.port import Bus
from studio9_common.contracts.envelope import encode
from studio9_common.documents.port import DocumentMissing, Documents, VersionConflict, Where
from studio9_common.errors import Studio9Error
from studio9_common.logs import logger
from studio9_common.tasks import end
from studio9_common.times import Clock, format_time

GRACE_S = 5.0
"""A change that is not announced after so many seconds is the sweeper's."""


class Outbox:
    """Publishes what changed entries hold in their outbox. A receiver may see a change twice, never not at all."""

    def __init__(self, documents: Documents, bus: Bus, clock: Clock, *, sweep_s: float) -> None:
        self._documents, self._bus, self._clock, self._sweep_s = documents, bus, clock, sweep_s
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._log = logger("argo")

    def announce(self, id: str) -> None:
        """This entry has something to announce; returns at once."""
        self._waiting.put_nowait(id)

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._publish_all(), name="argo-outbox"),
            asyncio.create_task(self._sweep_all(), name="argo-outbox-sweeper"),
        ]

    def ended(self) -> list[str]:
        """The names of its tasks that have ended although nobody stopped them."""
        return [task.get_name() for task in self._tasks if task.done()]

    async def stop(self) -> None:
        """What is not announced yet stays in the entries for the next start."""
        await end(*self._tasks)
        self._tasks = []

    async def _publish_all(self) -> None:
        while True:
            await self._try(await self._waiting.get())

    async def _sweep_all(self) -> None:
        while True:
            try:
                await self.sweep()
            except Studio9Error as error:
                self._log.warning("outbox_sweep_failed", message=error.message)
            await asyncio.sleep(self._sweep_s)

    async def sweep(self, *, grace_s: float = GRACE_S) -> int:
        """Publishes every change that is older than `grace_s` and not announced; returns how many entries had one."""
        before = format_time(self._clock.now() - timedelta(seconds=grace_s))
        found = await self._documents.search(
            ENTRIES.name, Where(below={"outbox_since": before}), sort=("outbox_since",), limit=1_000, fresh=True
        )
        for hit in found.hits:
            await self._try(hit.id)
        return len(found.hits)

    async def _try(self, id: str) -> None:
        try:
            await self._publish(id)
        except Studio9Error as error:
            self._log.warning("change_not_announced", entry=id, message=error.message)

    async def _publish(self, id: str) -> None:
        try:
            stored = await self._documents.get(ENTRIES.name, id)
        except DocumentMissing:
            return
        setting = Setting.of(stored.body)
        if not setting.outbox:
            return
        for notice in setting.outbox:
            await self._bus.publish(
                encode(
                    message_of(setting.place, notice),
                    source="argo",
                    organisation=setting.place.organisation,
                    id=notice.id,
                    now=self._clock.now(),
                )
            )
        published = frozenset(notice.version for notice in setting.outbox)
        with contextlib.suppress(VersionConflict):  # changed meanwhile: its next announcement clears these too
            await self._documents.replace(ENTRIES.name, id, setting.announced(published).body(), stored.version)
