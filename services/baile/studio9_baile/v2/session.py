"""Signing in and out, the caller, and whether Baile lives."""

from typing import Annotated, Literal

from fastapi import Query, Request

from studio9_baile.usecases import signing_in, users
from studio9_baile.usecases.stats import library_counts
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Answer, Nothing
from studio9_baile.v2.wire.users import PasswordBody, SignInBody, StatsAnswer, TokenAnswer, UserAnswer
from studio9_common.errors import BadInput

routes = router()


class Health(Answer):
    ok: bool


class Status(Answer):
    uptime: int


@routes.get("/health")
async def health() -> Health:
    return Health(ok=True)


@routes.get("/status")
async def status(request: Request, core: TheCore) -> Status:
    """Seconds since the start."""
    return Status(uptime=int(core.clock.monotonic() - request.app.state.started))


@routes.post("/signin")
async def sign_in(body: SignInBody, request: Request, core: TheCore) -> TokenAnswer:
    name = body.username or body.email
    if not name:
        raise BadInput("Neither email no username were provided", field="username", fix="give one of the two")
    address = request.client.host if request.client else ""
    token = await signing_in.sign_in(core, name, body.password, address)
    return TokenAnswer(access_token=token, expires_in=core.tokens.lifetime_s)


@routes.post("/signout")
async def sign_out(core: TheCore, caller: TheCaller) -> Nothing:
    await signing_in.sign_out(core, caller)
    return Nothing()


@routes.get("/me")
async def me(core: TheCore, caller: TheCaller) -> UserAnswer:
    return UserAnswer.of(await signing_in.me(core, caller))


@routes.post("/me/password")
async def change_password(body: PasswordBody, core: TheCore, caller: TheCaller) -> Nothing:
    await users.change_password(core, caller, body.oldPassword, body.newPassword)
    return Nothing()


@routes.get("/me/stats")
async def stats(
    core: TheCore, caller: TheCaller, scope: Annotated[Literal["all", "personal", "shared"], Query()] = "personal"
) -> StatsAnswer:
    return StatsAnswer(**await library_counts(core, caller, scope))
