"""Sends prepared writes in a `_bulk` and settles what its answer left open."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import AsyncElasticsearch

from studio9_common.documents.elasticsearch.failures import translated
from studio9_common.documents.elasticsearch.writing import Doubt, Line, outcome_of, settle
from studio9_common.documents.port import DocumentsUnavailable, Written

MAX_ITEMS = 1_000
MAX_BYTES = 8 * 1024 * 1024
"""Documents and bytes of one request."""

_ANSWER = "items.*.status,items.*._seq_no,items.*._primary_term,items.*.error"


class Sender:
    """Sends batches through one client. A write is never sent twice: whether it happened is read back instead."""

    def __init__(self, client: AsyncElasticsearch) -> None:
        self._writing = client.options(max_retries=0, retry_on_timeout=False)
        self._reading = client.options(max_retries=2, retry_on_timeout=False)

    async def send(self, lines: Sequence[Line]) -> list[Written]:
        """One outcome per line. Raises BadInput where the whole request was refused as malformed."""
        outcomes = await self._attempt(lines)
        doubts = {place: doubt for place, doubt in enumerate(outcomes) if isinstance(doubt, Doubt)}
        found = await self._look([lines[position] for position in doubts])
        settled = dict(zip(doubts, found, strict=True))
        return [
            outcome if isinstance(outcome, Written) else _settled(lines[position], outcome, settled[position])
            for position, outcome in enumerate(outcomes)
        ]

    async def _attempt(self, lines: Sequence[Line]) -> list[Written | Doubt]:
        try:
            with translated():
                answer = await self._writing.perform_request(
                    "POST",
                    "/_bulk",
                    params={"filter_path": _ANSWER},
                    headers={"accept": "application/json", "content-type": "application/x-ndjson"},
                    body=b"\n".join([*(line.payload for line in lines), b""]),
                )
        except DocumentsUnavailable:
            return [Doubt.lost] * len(lines)
        return [outcome_of(line, item) for line, item in zip(lines, answer.body["items"], strict=True)]

    async def _look(self, lines: Sequence[Line]) -> Sequence[Mapping[str, Any] | DocumentsUnavailable | None]:
        """What the store holds of these documents, or, for each, why it cannot be said."""
        if not lines:
            return []
        try:
            with translated():
                return await read_many(self._reading, [(line.place, line.write.id) for line in lines])
        except DocumentsUnavailable as error:
            return [error] * len(lines)


def _settled(line: Line, doubt: Doubt, found: Mapping[str, Any] | DocumentsUnavailable | None) -> Written:
    return Written(error=found) if isinstance(found, DocumentsUnavailable) else settle(line, doubt, found)


async def read_many(client: AsyncElasticsearch, places: Sequence[tuple[str, str]]) -> list[Mapping[str, Any] | None]:
    """Real-time reads of (store's index, id); None for what is not there. Raises the client's errors."""
    found: list[Mapping[str, Any] | None] = []
    for start in range(0, len(places), MAX_ITEMS):
        wanted = [{"_index": place, "_id": id} for place, id in places[start : start + MAX_ITEMS]]
        answer = await client.mget(docs=wanted)
        for document in answer.body["docs"]:
            kind = (document.get("error") or {}).get("type")
            if kind not in {None, "index_not_found_exception"}:
                raise DocumentsUnavailable(f"a document could not be read: {kind}")
            found.append(document if document.get("found") else None)
    return found


def parts_of(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines in requests of bounded size."""
    part: list[Line] = []
    size = 0
    for line in lines:
        if part and (len(part) == MAX_ITEMS or size + len(line.payload) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line.payload)
    if part:
        yield part
