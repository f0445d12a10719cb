"""The HTTP of secrets. Only `reveal` ever answers with a value."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from studio9_argo.routes import Project, version_of
from studio9_argo.secrets import Secrets
from studio9_common.contracts.configuration import SecretInfo
from studio9_common.http.app import ServiceCaller


class SecretValue(BaseModel):
    """A value: text, or a small JSON object such as a pair of keys."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    value: str | dict[str, Any]


class ChangedSecret(SecretValue):
    """`audiences`: the services that may read it."""

    audiences: list[str] = Field(min_length=1, max_length=8)


class NewSecret(ChangedSecret):
    """A secret of the caller's organisation, or of one of its projects."""

    name: str = Field(min_length=1, max_length=255)
    project: str | None = Field(None, max_length=128)


class SecretList(BaseModel):
    """A page of secrets without their values."""

    items: list[SecretInfo]
    next: str | None = None


def secret_router(secrets: Secrets) -> APIRouter:
    """All routes under /v1/secrets."""
    routes = APIRouter(prefix="/v1/secrets")

    @routes.post("", status_code=201)
    async def add(caller: ServiceCaller, response: Response, body: NewSecret) -> SecretInfo:
        info = await secrets.add(caller, body.name, body.value, body.audiences, body.project)
        response.headers["ETag"] = f'"{info.version}"'
        return info

    @routes.get("")
    async def list_secrets(
        caller: ServiceCaller,
        project: Project = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    ) -> SecretList:
        items, following = await secrets.list(caller, project, after=after, limit=limit)
        return SecretList(items=items, next=following)

    @routes.get("/{id}")
    async def get(caller: ServiceCaller, response: Response, id: str) -> SecretInfo:
        info = await secrets.get(caller, id)
        response.headers["ETag"] = f'"{info.version}"'
        return info

    @routes.put("/{id}")
    async def replace(
        caller: ServiceCaller,
        response: Response,
        id: str,
        body: ChangedSecret,
        if_match: Annotated[str | None, Header(alias="If-Match")] = None,
    ) -> SecretInfo:
        info = await secrets.replace(caller, id, body.value, body.audiences, expected=version_of(if_match))
        response.headers["ETag"] = f'"{info.version}"'
        return info

    @routes.delete("/{id}", status_code=204)
    async def delete(caller: ServiceCaller, id: str) -> None:
        await secrets.delete(caller, id)

    @routes.post("/{id}/reveal")
    async def reveal(caller: ServiceCaller, response: Response, id: str) -> SecretValue:
        response.headers["Cache-Control"] = "no-store"
        return SecretValue(value=await secrets.reveal(caller, id))

    return routes
