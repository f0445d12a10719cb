"""The HTTP of Aries: documents with ETag and If-Match, bulk, multi-get, search.

An `etag` is opaque. 409: the id exists; 412: another version by now; 428: If-Match is missing where it is needed.
Bodies are read and written as bytes once: beats come in bulks of a thousand.
"""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from studio9_aries.handlers import Handlers
from studio9_common.contracts.documents import (
    BulkItem,
    BulkOutcome,
    BulkRequest,
    Conditions,
    CountAnswer,
    ManyRequest,
    MonthsAnswer,
    SearchRequest,
)
from studio9_common.documents.port import Stored, VersionConflict, Written
from studio9_common.errors import BadInput, PreconditionFailed, TooLarge
from studio9_common.http.app import ServiceCaller

Body = TypeVar("Body", bound=BaseModel)
IfMatch = Annotated[str | None, Header(alias="If-Match")]
_SUCCESS = {"create": 201, "replace": 200, "put": 200, "delete": 204}


def router(handlers: Handlers, *, max_body: int) -> APIRouter:
    """All routes under /v1. A larger body than `max_body` bytes gets 413."""
    routes = APIRouter(prefix="/v1")

    async def read(request: Request) -> bytes:
        if int(request.headers.get("content-length") or 0) > max_body:
            raise TooLarge(f"a request is at most {max_body} bytes")
        body = await request.body()
        if len(body) > max_body:
            raise TooLarge(f"a request is at most {max_body} bytes")
        return body

    @routes.post("/{collection}/_bulk")
    async def bulk(caller: ServiceCaller, collection: str, request: Request) -> Response:
        wanted = _parse(BulkRequest, await read(request))
        written = await handlers.bulk(caller, collection, wanted.items)
        items = [_outcome(item, outcome) for item, outcome in zip(wanted.items, written, strict=True)]
        return _json({"items": items})

    @routes.post("/{collection}/_mget")
    async def get_many(caller: ServiceCaller, collection: str, request: Request) -> Response:
        wanted = _parse(ManyRequest, await read(request))
        found = await handlers.get_many(caller, collection, wanted.ids)
        return _json({"items": [None if stored is None else _found(stored) for stored in found]})

    @routes.post("/{collection}/_search")
    async def search(caller: ServiceCaller, collection: str, request: Request) -> Response:
        page = await handlers.search(caller, collection, _parse(SearchRequest, await read(request)))
        return _json({"items": [_found(hit) for hit in page.hits], "next": page.next, "total": page.total})

    @routes.get("/{collection}/_count")
    async def count(
        caller: ServiceCaller, collection: str, where: Annotated[str, Query()] = "{}", fresh: bool = False
    ) -> CountAnswer:
        conditions = _parse(Conditions, where.encode())
        return CountAnswer(count=await handlers.count(caller, collection, conditions.where(), fresh=fresh))

    @routes.get("/{collection}/_months")
    async def months(caller: ServiceCaller, collection: str) -> MonthsAnswer:
        return MonthsAnswer(months=await handlers.months(caller, collection))

    @routes.delete("/{collection}/_months/{month}", status_code=204)
    async def drop_month(caller: ServiceCaller, collection: str, month: str) -> None:
        await handlers.drop_month(caller, collection, month)

    @routes.get("/{collection}/{id:path}")
    async def get(caller: ServiceCaller, collection: str, id: str) -> Response:
        stored = await handlers.get(caller, collection, id)
        return Response(to_json(stored.body), 200, {"ETag": f'"{stored.version}"'}, "application/json")

    @routes.post("/{collection}/{id:path}")
    async def create(caller: ServiceCaller, collection: str, id: str, request: Request) -> Response:
        item = BulkItem(action="create", id=id, body=_object(await read(request)))
        return _written(201, await handlers.write(caller, collection, item))

    @routes.put("/{collection}/{id:path}")
    async def put(
        caller: ServiceCaller, collection: str, id: str, request: Request, if_match: IfMatch = None
    ) -> Response:
        etag = _version(if_match)
        action: Any = "put" if etag is None else "replace"
        item = BulkItem(action=action, id=id, body=_object(await read(request)), etag=etag)
        try:
            return _written(200, await handlers.write(caller, collection, item))
        except VersionConflict as error:
            raise PreconditionFailed(error.message) from error

    @routes.delete("/{collection}/{id:path}")
    async def delete(caller: ServiceCaller, collection: str, id: str, if_match: IfMatch = None) -> Response:
        item = BulkItem(action="delete", id=id, etag=_version(if_match))
        try:
            await handlers.write(caller, collection, item)
        except VersionConflict as error:
            raise PreconditionFailed(error.message) from error
        return Response(status_code=204)

    return routes


def _parse(model: type[Body], content: bytes) -> Body:
    try:  # documents are read three times as fast apart from the model, which holds them as they are
        return model.model_validate(_json_of(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadInput(f"{field}: {first['msg']}", field=field) from None


def _json_of(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError as error:
        raise BadInput(f"the body is not JSON: {error}") from None


def _object(content: bytes) -> dict[str, Any]:
    body = _json_of(content)
    if not isinstance(body, dict):
        raise BadInput("the body is not a JSON object")
    return body


def _version(if_match: str | None) -> str | None:
    """The version of an If-Match; None for `*` or none at all."""
    return None if if_match is None or if_match == "*" else if_match.removeprefix("W/").strip('"')


def _written(status: int, version: str | None) -> Response:
    return Response(b"{}", status, {"ETag": f'"{version}"'}, "application/json")


def _found(stored: Stored) -> dict[str, Any]:
    return {"id": stored.id, "etag": stored.version, "body": stored.body}


def _outcome(item: BulkItem, written: Written) -> dict[str, Any]:
    error = written.error
    if error is None:
        return {"status": _SUCCESS[item.action], "etag": written.version}
    status = 412 if isinstance(error, VersionConflict) and item.action != "create" else error.status
    return BulkOutcome(status=status, code=error.code, detail=error.message, field=error.field).model_dump()


def _json(value: Any) -> Response:
    return Response(to_json(value), media_type="application/json")
