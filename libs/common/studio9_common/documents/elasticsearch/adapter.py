"""The documents port on Elasticsearch: writes gathered into `_bulk`, real-time reads, paging by search_after."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from elasticsearch import AsyncElasticsearch, JsonSerializer, SerializationError
from pydantic_core import from_json

from studio9_common.documents.checking import ALL, Checker, check_limit, sort_keys
from studio9_common.documents.cursors import decode_cursor, encode_cursor
from studio9_common.documents.elasticsearch.failures import translated
from studio9_common.documents.elasticsearch.indexes import KEY, WRITE, Catalogue
from studio9_common.documents.elasticsearch.searching import query_of, sort_of
from studio9_common.documents.elasticsearch.sending import MAX_BYTES, MAX_ITEMS, Sender, parts_of, read_many
from studio9_common.documents.elasticsearch.writing import Line, Target, line_of, version_of
from studio9_common.documents.names import check_family, family_of
from studio9_common.documents.port import (
    DocumentsUnavailable,
    Index,
    Page,
    Stored,
    Where,
    Write,
    Written,
)
from studio9_common.documents.single import SingleDocuments
from studio9_common.errors import BadInput, Studio9Error
from studio9_common.grouping import Gatherer

_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class FastJson(JsonSerializer):
    """JSON read by the parser that the services use anyway, several times faster for large answers."""

    def loads(self, data: bytes) -> Any:
        try:
            return from_json(data)
        except ValueError as error:
            raise SerializationError("the answer is not JSON", errors=(error,)) from error


class FastVendorJson(FastJson):
    """The same under the name that the server uses."""

    mimetype = "application/vnd.elasticsearch+json"


class ElasticsearchDocuments(SingleDocuments):
    """See `studio9_common.documents.port.Documents`. `prefix` begins the names of all indexes; `replicas` is the
    range of `auto_expand_replicas`: `0-1` keeps one copy as soon as there is a second node."""

    def __init__(self, client: AsyncElasticsearch, *, prefix: str, shards: int = 1, replicas: str = "0-1") -> None:
        if not _PREFIX.fullmatch(prefix):
            raise BadInput("an index prefix is in [a-z0-9_-]", field="prefix", value=prefix)
        self._client = client.options(max_retries=2, retry_on_timeout=False)
        self._catalogue = Catalogue(self._client, prefix, shards=shards, replicas=replicas)
        self._families: dict[str, Index] = {}
        self._targets: dict[str, Target] = {}
        self._sender = Sender(client)
        self._gatherer: Gatherer[Line, Written] = Gatherer(self._sender.send, max_items=MAX_ITEMS, max_bytes=MAX_BYTES)
        self._closed = False

    @classmethod
    def connect(cls, url: str, *, prefix: str, timeout_s: float = 10.0, connections: int = 16) -> Self:
        """A store by its URL; nothing is sent yet."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 9200)
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        client = AsyncElasticsearch(
            f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}",
            basic_auth=login,
            request_timeout=timeout_s,
            connections_per_node=connections,
            serializers={kind.mimetype: kind() for kind in (FastJson, FastVendorJson)},
        )
        return cls(client, prefix=prefix)

    @property
    def commits(self) -> int:
        """`_bulk` requests that gathered writes have left in so far."""
        return self._gatherer.batches

    async def ensure(self, *indexes: Index) -> None:
        for index in indexes:
            check_family(index)
        with translated():
            for family in await asyncio.gather(*(self._catalogue.ensure(index) for index in indexes)):
                self._families[family.name] = family
        self._targets.clear()

    async def _one(self, write: Write) -> str:
        if self._closed:
            raise DocumentsUnavailable("the document store is closed")
        line = self._line(write)
        written = await self._gatherer.submit(line, len(line.payload))
        if written.error is not None:
            raise written.error
        return written.version or ""

    async def bulk(self, writes: Sequence[Write]) -> list[Written]:
        outcomes: list[Written | None] = []
        lines: list[Line] = []
        for write in writes:
            try:
                lines.append(self._line(write))
                outcomes.append(None)
            except Studio9Error as error:
                outcomes.append(Written(error=error))
            if len(outcomes) % 200 == 0:
                await asyncio.sleep(0)  # encoding thousands of documents must not hold the loop
        sent = iter([written for part in parts_of(lines) for written in await self._sender.send(part)])
        return [next(sent) if outcome is None else outcome for outcome in outcomes]

    def _line(self, write: Write) -> Line:
        target = self._targets.get(write.index)
        if target is None:
            family = family_of(self._families, write.index)
            target = Target(self._catalogue.place(write.index), Checker(family.fields))
            self._targets[write.index] = target
        return line_of(target, write)

    async def get_many(self, ids: Sequence[tuple[str, str]]) -> list[Stored | None]:
        for index in {index for index, _ in ids}:
            family_of(self._families, index)
        places = [(self._catalogue.place(index), id) for index, id in ids]
        with translated():
            found = await read_many(self._client, places)
        return [None if document is None else self._stored(document) for document in found]

    async def search(
        self,
        index: str,
        where: Where = ALL,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
        total: bool = False,
    ) -> Page:
        check_limit(limit)
        family, place = self._scope(index)
        keys = sort_keys(family.fields, sort)
        query = query_of(family, where)
        cursor = None if after is None else decode_cursor(keys, after)
        with translated():
            await self._refresh(place, fresh)
            answer = await self._client.search(
                index=place,
                query=query,
                sort=sort_of(family.fields, keys),
                search_after=cursor,
                size=limit + 1,
                seq_no_primary_term=True,
                track_total_hits=total,
                allow_partial_search_results=False,
                ignore_unavailable=True,
            )
        found = answer.body["hits"]
        hits = found["hits"]
        following = encode_cursor(keys, hits[limit - 1]["sort"]) if len(hits) > limit else None
        counted = int(found["total"]["value"]) if total else None
        return Page([self._stored(hit) for hit in hits[:limit]], following, counted)

    async def count(self, index: str, where: Where = ALL, *, fresh: bool = False) -> int:
        family, place = self._scope(index)
        query = query_of(family, where)
        with translated():
            await self._refresh(place, fresh)
            # `_count` would answer without the shards that are not there: a month's index that is not ready, say.
            answer = await self._client.search(
                index=place,
                query=query,
                size=0,
                track_total_hits=True,
                allow_partial_search_results=False,
                ignore_unavailable=True,
            )
        return int(answer.body["hits"]["total"]["value"])

    async def indexes(self, family: str) -> list[str]:
        known = family_of(self._families, family, concrete=False)
        with translated():
            return await self._catalogue.names(known)

    async def drop(self, index: str) -> None:
        family_of(self._families, index)
        with translated():
            await self._client.indices.delete(index=self._catalogue.place(index), ignore_unavailable=True)

    async def forget(self, *families: str) -> None:
        """Removes the templates of families whose indexes have been dropped (an installation that is taken down)."""
        for name in families:
            with translated():
                await self._catalogue.forget(family_of(self._families, name, concrete=False))

    async def ping(self) -> None:
        with translated():
            await self._client.cluster.health()

    async def close(self) -> None:
        self._closed = True
        await self._gatherer.drain()
        await self._client.close()

    async def _refresh(self, place: str, fresh: bool) -> None:
        if fresh:
            await self._client.indices.refresh(index=place, ignore_unavailable=True, allow_no_indices=True)

    def _scope(self, index: str) -> tuple[Index, str]:
        family = family_of(self._families, index, concrete=False)
        bare = index == family.name
        return family, self._catalogue.pattern(family) if bare else self._catalogue.place(index)

    def _stored(self, document: Mapping[str, Any]) -> Stored:
        body = document["_source"]
        body.pop(KEY, None)
        body.pop(WRITE, None)
        return Stored(self._catalogue.index(document["_index"]), document["_id"], version_of(document), body)
