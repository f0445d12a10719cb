"""The HTTP of Argo: values by scope with ETag and If-Match, their history, their types.

The ETag is an entry's version. 428: a change needs If-Match, or `If-None-Match: *` for a new entry.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from studio9_argo.domain import PreconditionRequired, place_of
from studio9_argo.handlers import Handlers
from studio9_common.contracts.configuration import Entry, Past, Scope
from studio9_common.errors import BadInput
from studio9_common.http.app import ServiceCaller

IfMatch = Annotated[str | None, Header(alias="If-Match")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
Project = Annotated[str | None, Query(max_length=128)]


class NewValue(BaseModel):
    """The body of a change."""

    model_config = ConfigDict(extra="forbid")
    value: Any


class Entries(BaseModel):
    """A page of a list."""

    items: list[Entry]
    next: str | None = None


class History(BaseModel):
    """Earlier versions, the oldest first."""

    items: list[Past]


class NewSchema(BaseModel):
    """The body of a registration. `schema` is JSON Schema, draft 2020-12."""

    model_config = ConfigDict(extra="forbid")
    json_schema: dict[str, Any] = Field(alias="schema")


def version_of(if_match: str | None) -> int:
    """The version in If-Match. Raises PreconditionRequired, BadInput."""
    if if_match is None or if_match == "*":
        raise PreconditionRequired
    text = if_match.removeprefix("W/").strip('"')
    if not text.isdecimal():
        raise BadInput('If-Match holds the version of an entry, such as "3"', field="If-Match", value=if_match)
    return int(text)


def router(handlers: Handlers) -> APIRouter:
    """All configuration routes under /v1."""
    routes = APIRouter(prefix="/v1")

    @routes.get("/config")
    async def list_entries(
        caller: ServiceCaller,
        service: str | None = None,
        prefix: str | None = None,
        scope: Scope | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    ) -> Entries:
        items, following = await handlers.list(
            caller, service=service, prefix=prefix, scope=scope, after=after, limit=limit
        )
        return Entries(items=items, next=following)

    @routes.get("/config/{service}/{key}")
    async def get(
        caller: ServiceCaller,
        response: Response,
        service: str,
        key: str,
        scope: Scope | None = None,
        project: Project = None,
    ) -> Entry:
        """Without `scope` the nearest value; with it exactly that place, also a deleted entry."""
        if scope is None:
            entry = await handlers.resolve(caller, service, key, project)
        else:
            entry = await handlers.get(caller, place_of(caller, scope, project, service, key))
        response.headers["ETag"] = f'"{entry.version}"'
        return entry

    @routes.put("/config/{service}/{key}")
    async def put(
        caller: ServiceCaller,
        response: Response,
        service: str,
        key: str,
        body: NewValue,
        scope: Scope,
        project: Project = None,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Entry:
        place = place_of(caller, scope, project, service, key)
        expected = None if if_none_match == "*" else version_of(if_match)
        entry = await handlers.set(caller, place, body.value, expected=expected)
        response.headers["ETag"] = f'"{entry.version}"'
        return entry

    @routes.delete("/config/{service}/{key}")
    async def delete(
        caller: ServiceCaller,
        service: str,
        key: str,
        scope: Scope,
        project: Project = None,
        if_match: IfMatch = None,
    ) -> Entry:
        place = place_of(caller, scope, project, service, key)
        return await handlers.delete(caller, place, expected=version_of(if_match))

    @routes.get("/config/{service}/{key}/history")
    async def history(caller: ServiceCaller, service: str, key: str, scope: Scope, project: Project = None) -> History:
        return History(items=await handlers.history(caller, place_of(caller, scope, project, service, key)))

    @routes.put("/schemas/{service}/{key}", status_code=204)
    async def register(caller: ServiceCaller, service: str, key: str, body: NewSchema) -> None:
        await handlers.register(caller, service, key, body.json_schema)

    return routes
