"""Claims and batches, in Aries' collection `claims`.

A claim says that a picture (stream, bucket, key, version) belongs to a batch; it is created once, so the picture is
predicted once. A batch is one prediction job and has its id. Its states:

    gathering  its claims are being written; if its process is lost the batch is abandoned and its claims are free
    closed     its claims are complete; the job is asked for, again and again until it is accepted
    accepted   the job is durable: the messages may be deleted
    ended      the job is terminal; its end must still be announced
    notified   announced: nothing is left to do
    abandoned  never asked for: a claim that names it can be taken over

Messages are deleted only when their picture's batch is accepted or later, so whatever else is lost comes again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio9_common.clients.aries import AriesClient, Document
from studio9_common.contracts.documents import BulkItem
from studio9_common.documents.port import Where
from studio9_common.errors import Unavailable
from studio9_common.streams.events import ObjectCreated

CLAIMS = "claims"
DONE = frozenset({"accepted", "ended", "notified"})
"""States of a batch whose pictures' messages may be deleted."""
UNFINISHED = ("gathering", "closed", "accepted", "ended")


def claim_id(stream: str, created: ObjectCreated) -> str:
    """64 hex digits of stream, bucket, key, and the version (or ETag) of the object."""
    text = "\x1f".join((stream, created.bucket, created.key, created.version or created.etag or ""))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """A claim or batch as read. `data` is what is not searched."""

    id: str
    etag: str
    organisation: str
    stream: str
    batch: str
    state: str
    created_at: str
    updated_at: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def body(self, *, state: str, now: str, batch: str | None = None, **data: Any) -> dict[str, Any]:
        """The document with changes."""
        return document(
            self.organisation, self.stream, batch or self.batch, state, self.created_at, now, dict(self.data) | data
        )


def document(
    organisation: str, stream: str, batch: str, state: str, created_at: str, updated_at: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The stored form of a claim or a batch."""
    return {
        "organisation": organisation,
        "stream": stream,
        "batch": batch,
        "state": state,
        "created_at": created_at,
        "updated_at": updated_at,
        "claim": dict(data),
    }


def _stored(found: Document) -> Stored:
    body = found.body
    known = {name: str(body[name]) for name in ("organisation", "stream", "batch", "state", "created_at", "updated_at")}
    return Stored(id=found.id, etag=found.etag, **known, data=body.get("claim") or {})


class ClaimStore:
    """Reads and writes claims and batches. Methods raise Unavailable while Aries cannot be reached."""

    def __init__(self, aries: AriesClient) -> None:
        self._aries = aries

    async def find(self, id: str) -> Stored | None:
        found = await self._aries.find(CLAIMS, id)
        return None if found is None else _stored(found)

    async def find_many(self, ids: Sequence[str]) -> list[Stored | None]:
        found = await self._aries.get_many(CLAIMS, ids)
        return [None if one is None else _stored(one) for one in found]

    async def create(self, id: str, body: dict[str, Any]) -> str:
        """The etag. Raises Conflict if the id exists."""
        return await self._aries.create(CLAIMS, id, body)

    async def replace(self, id: str, body: dict[str, Any], etag: str) -> str:
        """The new etag. Raises PreconditionFailed."""
        return await self._aries.replace(CLAIMS, id, body, etag)

    async def write(self, items: Sequence[BulkItem]) -> list[str | None]:
        """The etag of each write in order; None where another was first."""
        outcomes = await self._aries.bulk(CLAIMS, items)
        for outcome in outcomes:
            if outcome.status >= 500:
                raise Unavailable(outcome.detail or "a claim could not be written")
        return [outcome.etag if outcome.status < 300 else None for outcome in outcomes]

    async def of_batch(self, batch: str) -> list[Stored]:
        """The claims that name a batch and are to be predicted, by id; sees every acknowledged write."""
        where = Where(equals={"batch": batch, "state": "claimed"})
        found = [_stored(one) async for one in self._aries.search_all(CLAIMS, where, sort=("created_at",), fresh=True)]
        return sorted(found, key=lambda one: one.id)

    async def unfinished(self, before: str) -> list[Stored]:
        """Batches that are not finished and were last touched before a time."""
        where = Where(equals={"state": UNFINISHED}, below={"updated_at": before})
        return [_stored(one) async for one in self._aries.search_all(CLAIMS, where, sort=("updated_at",))]

    async def count(self, state: str) -> int:
        return await self._aries.count(CLAIMS, Where(equals={"state": state}), fresh=True)
