"""What routes of `/v1` ask for."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from studio9_baile.conditional import base_core, core_of
from studio9_baile.core import Caller, Core
from studio9_baile.security import permissions
from studio9_baile.usecases import signing_in
from studio9_common.errors import Unauthenticated

BEARER = HTTPBearer(auto_error=False, description="an access token of POST /v1/session, or a personal access token")


async def the_core(request: Request) -> Core:
    """The same for routes: a dependency that is not async goes to a thread."""
    return core_of(request)


async def signed_in(request: Request) -> Caller:
    """Who makes the request, found out on the base core: that a token was used is no change of what the request aims
    at. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return await signing_in.caller_of(base_core(request), token.strip())


async def caller(request: Request, _: Annotated[object, Depends(BEARER)]) -> Caller:
    """The signed-in user, if their role or token allows what is asked. Raises Unauthenticated, NotAllowed."""
    found = await signed_in(request)
    permissions.check(found.permissions, request.method, request.scope["route"].path)
    return found


TheCore = Annotated[Core, Depends(the_core)]
TheCaller = Annotated[Caller, Depends(caller)]
