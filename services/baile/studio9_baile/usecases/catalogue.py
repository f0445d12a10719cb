"""What can be trained: the union of what the workers announced. The last known one is kept for when none is up."""

import asyncio
from typing import Any

from pydantic import ValidationError

from studio9_baile.database import Database
from studio9_baile.models.records import KnownCatalogue
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import WORKERS
from studio9_common.errors import BadInput, Unavailable
from studio9_common.logs import logger
from studio9_common.tasks import end
from studio9_common.times import Clock, format_time, parse_time
from studio9_task.catalogue import Catalogue, union
from studio9_task.problems import describe

RECENT_S = 86_400.0
"""A worker that was not seen for so long no longer counts while there are others."""
FRESH_S = 20.0
NOTHING = Catalogue(version="0")
MISSING = {
    "tune": ("No worker searches for settings", "vary"),
    "tile": ("No worker cuts tiles", "dataset_version_id"),
    "augment": ("No worker augments albums", "augmentations"),
    "frames": ("No worker takes videos apart", "S3VideoPath"),
}
"""Kinds of tasks that no head is for: what is said where nobody does them, and of which field."""


def framework_of(catalogue: Catalogue, kind: str) -> str:
    """The framework of such a kind. Raises BadInput."""
    found = next((task.framework for task in catalogue.tasks if task.kind == kind), None)
    if found is None:
        message, field = MISSING[kind]
        raise BadInput(message, field=field, fix="start a worker with the trainers")
    return found


class CatalogueKeeper:
    """Reads the workers' announcements from Aries, about every FRESH_S seconds while somebody asks."""

    def __init__(self, database: Database, aries: AriesClient, clock: Clock) -> None:
        self._database, self._aries, self._clock = database, aries, clock
        self._current: Catalogue | None = None
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None
        self._log = logger("baile")

    async def current(self) -> Catalogue:
        """What can be done. What is known is answered at once and read again behind it; while nothing is known the
        workers are asked at each call."""
        if self._current is None or not self._current.heads:
            async with self._turn:
                if self._current is None or not self._current.heads:
                    await self._read()
        elif self._clock.monotonic() - self._read_at > FRESH_S and not self._turn.locked():
            self._behind = asyncio.create_task(self._again(), name="catalogue")
        return self._current or NOTHING

    async def _again(self) -> None:
        async with self._turn:
            try:
                await self._read()
            except Exception as error:
                self._log.warning("catalogue_not_read", exc_info=error)

    async def close(self) -> None:
        """Ends what goes on behind."""
        if self._behind is not None:
            await end(self._behind)

    async def _read(self) -> None:
        self._read_at = self._clock.monotonic()
        try:
            announced = await self._announced()
        except Unavailable as error:
            self._log.warning("catalogue_not_read", message=error.message)
            announced = []
        if announced:
            found = union(announced)
            if found != self._current:
                await self._keep(found)
            self._current = found
        elif self._current is None:
            async with self._database.system(writing=False) as work:
                known = await work.catalogue()
            self._current = Catalogue.model_validate(known.body) if known is not None else None

    async def _announced(self) -> list[Catalogue]:
        recent: list[tuple[str, Catalogue]] = []
        async for document in self._aries.search_all(WORKERS.name, sort=("-last_seen",)):
            catalogue = self._parsed(document.id, document.body.get("catalogue"))
            if catalogue is not None:
                recent.append((document.body.get("last_seen", ""), catalogue))
        if not recent:
            return []
        newest = parse_time(max(seen for seen, _ in recent))
        limit = format_time(newest.fromtimestamp(newest.timestamp() - RECENT_S, newest.tzinfo))
        return [catalogue for seen, catalogue in recent if seen >= limit]

    def _parsed(self, worker: str, body: Any) -> Catalogue | None:
        if not body:
            return None
        try:
            return Catalogue.model_validate(body)
        except ValidationError as error:
            self._log.warning("catalogue_refused", worker=worker, problem=describe(error))
            return None

    async def _keep(self, catalogue: Catalogue) -> None:
        body = catalogue.model_dump(mode="json", exclude_none=True)
        async with self._database.system() as work:
            await work.put_catalogue(KnownCatalogue(id="current", body=body, read_at=work.now))
