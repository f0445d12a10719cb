"""What routes ask for: the core, the caller, the page of a list."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request

from studio9_baile.conditional import core_of
from studio9_baile.core import Caller, Core
from studio9_baile.repositories.paging import Page
from studio9_baile.security import permissions
from studio9_baile.usecases.listing import Shelf
from studio9_common.errors import Unauthenticated


async def the_core(request: Request) -> Core:
    """The request's core. (What is not async goes to a thread.)"""
    return core_of(request)


def token_of(request: Request, *, query: bool = False) -> str:
    """The request's token, from the header, or with `query` from `access_token`. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    if query and (given := request.query_params.get("access_token")):
        return given
    raise Unauthenticated


async def caller(request: Request) -> Caller:
    """The signed-in user, if their role or token allows what is asked. Raises Unauthenticated, NotAllowed."""
    found: Caller = await request.app.state.caller_of(token_of(request))
    permissions.check(found.permissions, request.method, request.scope["route"].path)
    return found


async def downloader(request: Request) -> Caller:
    """The signed-in user of a download, which browsers open as a plain link."""
    found: Caller = await request.app.state.caller_of(token_of(request, query=True))
    permissions.check(found.permissions, request.method, request.scope["route"].path)
    return found


async def page(
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
    size: Annotated[int, Query(alias="page_size", ge=1, le=1_000)] = 30,
    order: Annotated[str, Query(max_length=500)] = "",
    search: Annotated[str, Query(max_length=500)] = "",
) -> Page:
    """The page that was asked for; `search` is plain text, empty is none."""
    fields = tuple(field.strip() for field in order.split(",") if field.strip())
    return Page(number, size, fields, search)


async def shelf(
    scope: Annotated[Literal["all", "personal", "shared"], Query()] = "personal",
    project: Annotated[str | None, Query(alias="projectId", max_length=100)] = None,
    folder: Annotated[str | None, Query(alias="folderId", max_length=100)] = None,
) -> Shelf:
    """Which part of the library was asked for."""
    return Shelf(scope, project or None, folder or None)


TheCore = Annotated[Core, Depends(the_core)]
TheCaller = Annotated[Caller, Depends(caller)]
TheDownloader = Annotated[Caller, Depends(downloader)]
ThePage = Annotated[Page, Depends(page)]
TheShelf = Annotated[Shelf, Depends(shelf)]
