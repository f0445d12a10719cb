"""The client of Aries: versioned documents of the platform's collections.

Calls are repeated with back-off while Aries or its store cannot be reached. A write that is repeated and then refused
is read back: finding exactly the body that was sent means that the first try had done it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from pydantic_core import from_json, to_json

from studio9_common.clients.repeating import repeat
from studio9_common.contracts.collections import job_document, job_of
from studio9_common.contracts.documents import MAX_ITEMS, BulkItem, BulkOutcome, Conditions
from studio9_common.contracts.job import Job
from studio9_common.documents.port import Where
from studio9_common.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from studio9_common.http.client import ServiceClient
from studio9_common.tokens import TokenKeys

SYSTEM = "system"
_JSON = {"Content-Type": "application/json"}
_ALL = Where()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read. `etag` goes into `replace` and `delete`."""

    id: str
    etag: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Documents:
    """A page of a search; `next` goes into `after`, None at the end."""

    items: list[Document]
    next: str | None = None
    total: int | None = None


class AriesClient:
    """Calls Aries as `service`. `target` is its address, or its app in one process.

    `organisation` of a call: what it may see and write; `system` sees all. `retry_s`: for how many seconds calls are
    repeated while Aries cannot be reached, then Unavailable is raised. Others: NotFound, Conflict (create of an
    existing id), PreconditionFailed (another version by now), BadInput, Forbidden.
    """

    def __init__(
        self,
        target: str | FastAPI,
        *,
        service: str,
        keys: TokenKeys,
        timeout_s: float = 30.0,
        retry_s: float = 10.0,
    ) -> None:
        self._http = ServiceClient(target, audience="aries", service=service, keys=keys, timeout_s=timeout_s)
        self._retry_s = retry_s

    # --- documents ----------------------------------------------------------------------------------------------

    async def get(self, collection: str, id: str, *, organisation: str = SYSTEM) -> Document:
        """The current document, in real time. Raises NotFound."""
        response = await self._http.request(
            "GET", _path(collection, id), organisation=organisation, retry_s=self._retry_s
        )
        return Document(id, _etag(response.headers["ETag"]), from_json(response.content))

    async def find(self, collection: str, id: str, *, organisation: str = SYSTEM) -> Document | None:
        """As `get`, but None for what is not there."""
        return (await self.get_many(collection, [id], organisation=organisation))[0]

    async def get_many(
        self, collection: str, ids: Sequence[str], *, organisation: str = SYSTEM
    ) -> list[Document | None]:
        """Real-time reads in the same order, None for what is not there."""
        found: list[Document | None] = []
        for start in range(0, len(ids), MAX_ITEMS):
            answer = await self._post(collection, "_mget", {"ids": list(ids[start : start + MAX_ITEMS])}, organisation)
            found += [None if item is None else Document(**item) for item in answer["items"]]
        return found

    async def create(self, collection: str, id: str, body: dict[str, Any], *, organisation: str = SYSTEM) -> str:
        """Returns the etag. Raises Conflict if the id exists."""
        return await self._write("POST", collection, id, body, {}, organisation)

    async def replace(
        self, collection: str, id: str, body: dict[str, Any], etag: str, *, organisation: str = SYSTEM
    ) -> str:
        """Returns the new etag. Raises PreconditionFailed unless `etag` is the current one, NotFound."""
        return await self._write("PUT", collection, id, body, {"If-Match": f'"{etag}"'}, organisation)

    async def put(self, collection: str, id: str, body: dict[str, Any], *, organisation: str = SYSTEM) -> str:
        """Overwrites whatever is there; only in collections that allow it (beats, telemetry, workers, …)."""
        return await self._write("PUT", collection, id, body, {"If-Match": "*"}, organisation)

    async def delete(self, collection: str, id: str, etag: str | None = None, *, organisation: str = SYSTEM) -> None:
        """Raises NotFound, and PreconditionFailed unless `etag`, where given, is the current one."""
        headers = {"If-Match": "*" if etag is None else f'"{etag}"'}

        async def attempt(doubt: bool) -> None:
            try:
                await self._http.request(
                    "DELETE", _path(collection, id), organisation=organisation, repeatable=False, headers=headers
                )
            except NotFound:
                if not doubt:
                    raise

        await repeat(attempt, retry_s=self._retry_s)

    async def bulk(
        self, collection: str, items: Sequence[BulkItem], *, organisation: str = SYSTEM
    ) -> list[BulkOutcome]:
        """Each write with its own outcome, in order; `status` below 300 is success. Nothing is raised for an item."""
        outcomes: list[BulkOutcome] = []
        for start in range(0, len(items), MAX_ITEMS):
            part = items[start : start + MAX_ITEMS]
            outcomes += await self._bulk_part(collection, part, organisation)
        return outcomes

    async def search(
        self,
        collection: str,
        where: Where = _ALL,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        after: str | None = None,
        fresh: bool = False,
        total: bool = False,
        month: str | None = None,
        organisation: str = SYSTEM,
    ) -> Documents:
        """A page. Searches are up to a second behind unless `fresh`; decide nothing on one alone."""
        request = {
            "where": Conditions.of(where),
            "sort": list(sort),
            "limit": limit,
            "after": after,
            "fresh": fresh,
            "total": total,
            "month": month,
        }
        answer = await self._post(collection, "_search", request, organisation)
        items = [Document(**item) for item in answer["items"]]
        return Documents(items, answer.get("next"), answer.get("total"))

    async def search_all(
        self,
        collection: str,
        where: Where = _ALL,
        *,
        sort: Sequence[str] = (),
        fresh: bool = False,
        organisation: str = SYSTEM,
    ) -> AsyncIterator[Document]:
        """Every hit, page by page; `fresh` refreshes once, at the beginning."""
        after: str | None = None
        first = fresh
        while True:
            page = await self.search(
                collection, where, sort=sort, limit=500, after=after, fresh=first, organisation=organisation
            )
            for item in page.items:
                yield item
            after, first = page.next, False
            if after is None:
                return

    async def count(
        self, collection: str, where: Where = _ALL, *, fresh: bool = False, organisation: str = SYSTEM
    ) -> int:
        response = await self._http.request(
            "GET",
            f"/v1/{collection}/_count",
            organisation=organisation,
            retry_s=self._retry_s,
            params={"where": to_json(Conditions.of(where)).decode(), "fresh": fresh},
        )
        return int(response.json()["count"])

    async def months(self, collection: str) -> list[str]:
        """The months of a monthly collection that hold documents."""
        response = await self._http.request("GET", f"/v1/{collection}/_months", retry_s=self._retry_s)
        return list(response.json()["months"])

    async def drop_month(self, collection: str, month: str) -> None:
        """Retention. Raises Conflict while a job of that month is not terminal."""
        await self._http.request("DELETE", f"/v1/{collection}/_months/{month}", retry_s=self._retry_s)

    # --- jobs ---------------------------------------------------------------------------------------------------

    async def get_job(self, id: str, *, organisation: str = SYSTEM) -> tuple[Job, str]:
        """A job and its etag. Raises NotFound."""
        found = await self.get("jobs", id, organisation=organisation)
        return job_of(found.body), found.etag

    async def get_jobs(self, ids: Sequence[str], *, organisation: str = SYSTEM) -> list[tuple[Job, str] | None]:
        """Jobs with their etags in the same order, None for what is not there."""
        found = await self.get_many("jobs", ids, organisation=organisation)
        return [None if item is None else (job_of(item.body), item.etag) for item in found]

    async def create_job(self, job: Job) -> str:
        """Returns the etag. Raises Conflict if the id exists."""
        return await self.create("jobs", job.id, job_document(job))

    async def replace_job(self, job: Job, etag: str) -> str:
        """Returns the new etag. Raises PreconditionFailed, NotFound."""
        return await self.replace("jobs", job.id, job_document(job), etag)

    async def ping(self) -> None:
        """Raises Unavailable if Aries does not answer."""
        await self._http.ping()

    async def close(self) -> None:
        await self._http.close()

    # --- how ----------------------------------------------------------------------------------------------------

    async def _post(self, collection: str, route: str, body: Any, organisation: str) -> dict[str, Any]:
        response = await self._http.request(
            "POST",
            f"/v1/{collection}/{route}",
            organisation=organisation,
            repeatable=True,
            headers=_JSON,
            retry_s=self._retry_s,
            content=to_json(body),
        )
        answer: dict[str, Any] = from_json(response.content)
        return answer

    async def _write(
        self, method: str, collection: str, id: str, body: dict[str, Any], headers: dict[str, str], organisation: str
    ) -> str:
        content = to_json(body)

        async def attempt(doubt: bool) -> str:
            try:
                response = await self._http.request(
                    method,
                    _path(collection, id),
                    organisation=organisation,
                    repeatable=False,
                    headers={**_JSON, **headers},
                    content=content,
                )
            except (Conflict, PreconditionFailed):
                found = await self.find(collection, id, organisation=organisation) if doubt else None
                if found is not None and found.body == from_json(content):
                    return found.etag
                raise
            return _etag(response.headers["ETag"])

        return await repeat(attempt, retry_s=self._retry_s)

    async def _bulk_part(self, collection: str, items: Sequence[BulkItem], organisation: str) -> list[BulkOutcome]:
        content = b'{"items":%b}' % to_json(
            [{"action": i.action, "id": i.id, "body": i.body, "etag": i.etag} for i in items], exclude_none=False
        )

        async def attempt(doubt: bool) -> list[BulkOutcome]:
            response = await self._http.request(
                "POST",
                f"/v1/{collection}/_bulk",
                organisation=organisation,
                repeatable=False,
                headers=_JSON,
                content=content,
            )
            outcomes = [BulkOutcome(**item) for item in from_json(response.content)["items"]]
            return await self._settle(collection, items, outcomes, organisation) if doubt else outcomes

        return await repeat(attempt, retry_s=self._retry_s)

    async def _settle(
        self, collection: str, items: Sequence[BulkItem], outcomes: list[BulkOutcome], organisation: str
    ) -> list[BulkOutcome]:
        """After a repeated bulk: an item that is refused because its first try had succeeded is a success."""
        refused = [n for n, outcome in enumerate(outcomes) if outcome.status in {404, 409, 412}]
        found = await self.get_many(collection, [items[n].id for n in refused], organisation=organisation)
        for n, document in zip(refused, found, strict=True):
            if document is None and items[n].action == "delete":
                outcomes[n] = BulkOutcome(status=204)
            elif document is not None and document.body == items[n].body:
                outcomes[n] = BulkOutcome(status=200, etag=document.etag)
        return outcomes


def _path(collection: str, id: str) -> str:
    return f"/v1/{collection}/{quote(id, safe=':')}"


def _etag(header: str) -> str:
    return header.removeprefix("W/").strip('"')


__all__ = ["AriesClient", "BulkItem", "BulkOutcome", "Document", "Documents", "Unavailable"]
