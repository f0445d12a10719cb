"""What routes of `/v1` ask for."""

from typing import Annotated

from fastapi import Depends, Request

from studio9_baile.core import Caller, Core
from studio9_baile.security import permissions
from studio9_baile.usecases import signing_in
from studio9_common.errors import Unauthenticated


def core_of(request: Request) -> Core:
    """The core that the app was built with."""
    core: Core = request.app.state.core
    return core


async def caller(request: Request) -> Caller:
    """The signed-in user, if their role or token allows what is asked. Raises Unauthenticated, NotAllowed."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    found = await signing_in.caller_of(core_of(request), token.strip())
    permissions.check(found.permissions, request.method, request.scope["route"].path)
    return found


TheCore = Annotated[Core, Depends(core_of)]
TheCaller = Annotated[Caller, Depends(caller)]
