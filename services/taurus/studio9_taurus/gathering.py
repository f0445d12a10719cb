"""Pictures gathered into a batch: claimed, fetched, measured, stored, and the batch closed."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from studio9_common.contracts.documents import BulkItem
from studio9_common.errors import BadInput, Conflict, PreconditionFailed, Unavailable
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.objects.port import ObjectMissing, Objects
from studio9_common.streams.events import ObjectCreated
from studio9_common.times import Clock, format_time
from studio9_taurus.claims import ClaimStore, Stored, document
from studio9_taurus.pictures import NotAPicture, measure
from studio9_taurus.settings import TaurusSettings
from studio9_taurus.sources import Source, TooBig
from studio9_taurus.streams import Active

AT_ONCE = 8
"""Pictures fetched at the same time."""


@dataclass(frozen=True, slots=True)
class Part:
    """One picture for one stream. `free` is the claim of an abandoned batch, to be taken over."""

    claim: str
    created: ObjectCreated
    free: Stored | None = None


@dataclass(slots=True)
class Gathering:
    """The open batch of one stream, in memory only: losing it loses nothing, the messages come again."""

    stream: Active
    opened: float
    latest: float
    parts: dict[str, Part] = field(default_factory=dict)

    def due(self, now: float, quiet_s: float) -> bool:
        """Whether it is time to close it."""
        config = self.stream.config
        waited = now - self.opened >= config.max_wait_s or now - self.latest >= quiet_s
        return bool(self.parts) and (waited or len(self.parts) >= config.batch_size)


class Gatherer:
    """Closes gatherings. All its writes are conditional, so another process can take over at any point."""

    def __init__(
        self, settings: TaurusSettings, store: ClaimStore, source: Source, objects: Objects, clock: Clock
    ) -> None:
        self._settings, self._store, self._source, self._objects = settings, store, source, objects
        self._clock = clock
        self._log = logger("taurus")

    async def close(self, stream: Active, parts: Sequence[Part]) -> str | None:
        """Claims, fetches and stores the pictures; the closed batch's id, or None if nothing was left to predict.

        Raises Unavailable; the batch is then abandoned, if not here then by whoever finds it, and its claims are free.
        """
        batch = new_id()
        config = stream.config
        now = self._now()
        data = {"config": config.model_dump(mode="json")}
        etag = await self._store.create(
            batch, document(stream.organisation, config.stream, batch, "gathering", now, now, data)
        )
        try:
            ready = await self._fetch(stream, await self._claim(stream, batch, parts))
        except Exception:
            await self._abandon(stream, batch, now, etag, data)
            raise
        state = "closed" if ready else "abandoned"
        body = document(stream.organisation, config.stream, batch, state, now, self._now(), data | {"pictures": ready})
        try:
            await self._store.replace(batch, body, etag)
        except PreconditionFailed:
            self._log.warning("batch_taken", batch=batch, stream=config.stream)
            return None
        return batch if ready else None

    async def _abandon(self, stream: Active, batch: str, since: str, etag: str, data: dict[str, Any]) -> None:
        """At once where that can be done, so that its pictures need not wait until it looks lost."""
        config = stream.config
        body = document(stream.organisation, config.stream, batch, "abandoned", since, self._now(), data)
        with contextlib.suppress(Unavailable, PreconditionFailed):
            await self._store.replace(batch, body, etag)

    async def _claim(self, stream: Active, batch: str, parts: Sequence[Part]) -> list[tuple[Part, str]]:
        """The parts that are now ours, with their claims' etags."""
        now = self._now()
        items = []
        for part in parts:
            place = {"bucket": part.created.bucket, "key": part.created.key}
            body = document(stream.organisation, stream.config.stream, batch, "claimed", now, now, place)
            if part.free is None:
                items.append(BulkItem(action="create", id=part.claim, body=body))
            else:
                items.append(BulkItem(action="replace", id=part.claim, body=body, etag=part.free.etag))
        etags = await self._store.write(items)
        return [(part, etag) for part, etag in zip(parts, etags, strict=True) if etag is not None]

    async def _fetch(self, stream: Active, mine: Sequence[tuple[Part, str]]) -> int:
        """Stores each picture and writes what it is into its claim; how many can be predicted."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(part: Part, etag: str) -> bool:
            async with limit:
                return await self._fetch_one(stream, part, etag)

        return sum(await asyncio.gather(*(one(part, etag) for part, etag in mine)))

    async def _fetch_one(self, stream: Active, part: Part, etag: str) -> bool:
        found = await self._store.find(part.claim)
        if found is None or found.etag != etag:
            return False
        key = part.created.key
        try:
            content = await self._source.read(stream.organisation, stream.config, key, limit=self._settings.max_picture)
            measured = await asyncio.to_thread(measure, content, max_pixels=self._settings.max_pixels)
        except ObjectMissing:
            return await self._refuse(found, "it was gone before it could be read")
        except TooBig:
            return await self._refuse(found, f"it is larger than {self._settings.max_picture} bytes")
        except (NotAPicture, BadInput) as error:
            return await self._refuse(found, str(error))
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        name = f"{stream.organisation}/pictures/{digest}"
        await self._objects.put(name, content, content_type=measured.media_type, sha256=digest)
        facts: dict[str, Any] = {"sha256": digest, "object": name, "size": len(content)}
        facts |= {"width": measured.width, "height": measured.height}
        body = found.body(state="claimed", now=self._now(), **facts)
        try:
            await self._store.replace(found.id, body, found.etag)
        except (PreconditionFailed, Conflict):
            return False
        return True

    async def _refuse(self, claim: Stored, reason: str) -> bool:
        """The claim says why; the picture is not looked at again."""
        self._log.warning("picture_refused", stream=claim.stream, key=claim.data.get("key"), reason=reason)
        body = claim.body(state="refused", now=self._now(), reason=reason)
        with contextlib.suppress(PreconditionFailed):
            await self._store.replace(claim.id, body, claim.etag)
        return False

    def _now(self) -> str:
        return format_time(self._clock.now())
