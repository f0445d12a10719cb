"""Signing in to `/v1`, renewing, signing out, personal access tokens; who is who, and who did what."""

from typing import Any, Literal

from fastapi import Request, Response
from pydantic import Field

from studio9_baile.models.identity import AccessToken, Role, User, UserStatus
from studio9_baile.models.records import AuditEntry
from studio9_baile.security.permissions import Permission
from studio9_baile.usecases import access_tokens, auditing, signing_in, users
from studio9_baile.usecases.signing_in import Renewed
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import SECRET, router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged

routes = router(tag="identity")


class SignInBody(Body):
    """User name or e-mail, and the password."""

    username: str = Field(min_length=1, max_length=254)
    password: str = Field(min_length=1, max_length=1000)


class RefreshBody(Body):
    """The refresh token that came last."""

    refresh_token: str = Field(min_length=1, max_length=200)


class Tokens(Answer):
    """A token for `expires_in` seconds, and what renews it, once."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: Literal["bearer"] = "bearer"

    @classmethod
    def of(cls, made: Renewed) -> "Tokens":
        return cls(access_token=made.access, refresh_token=made.refresh, expires_in=made.lifetime_s)


class UserAnswer(Answer):
    """A user of the organisation."""

    id: str
    organisation: str
    username: str
    email: str
    first_name: str
    last_name: str
    role: Role
    status: UserStatus
    created_at: Time

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        return cls(
            id=user.id,
            organisation=user.organisation,
            username=user.username,
            email=user.email,
            first_name=user.first_name,
            last_name=user.last_name,
            role=user.role,
            status=user.status,
            created_at=user.created_at,
        )


class Me(Answer):
    """The caller, and what they may do with the token that they use."""

    user: UserAnswer
    permissions: list[Permission]


class TokenBody(Body):
    """A personal access token to be made."""

    name: str = Field(min_length=1, max_length=255)
    scopes: list[str] = Field(min_length=1, max_length=10)
    days: int = Field(90, ge=1, le=access_tokens.LONGEST_DAYS)


class TokenAnswer(Answer):
    """A personal access token; `token`, its text, is shown when it is made and never again."""

    id: str
    name: str
    scopes: list[str]
    created_at: Time
    expires_at: Time
    used_at: Time | None = None
    token: str | None = None

    @classmethod
    def of(cls, row: AccessToken, token: str | None = None) -> "TokenAnswer":
        return cls(
            id=row.id,
            name=row.name,
            scopes=row.scopes,
            created_at=row.created_at,
            expires_at=row.expires_at,
            used_at=row.used_at,
            token=token,
        )


class RoleBody(Body):
    """The role that a user gets."""

    role: Role


class AuditAnswer(Answer):
    """Who did what to which asset."""

    id: str
    time: Time
    user: str
    action: str
    kind: str
    asset: str
    detail: dict[str, Any] | None = None

    @classmethod
    def of(cls, row: AuditEntry) -> "AuditAnswer":
        return cls(
            id=row.id, time=row.created_at, user=row.user, action=row.action, kind=row.kind, asset=row.asset,
            detail=row.detail,
        )  # fmt: skip


@routes.post("/session")
async def sign_in(body: SignInBody, request: Request, response: Response, core: TheCore) -> Tokens:
    response.headers.update(SECRET)
    address = request.client.host if request.client else ""
    return Tokens.of(await signing_in.sign_in_renewed(core, body.username, body.password, address))


@routes.post("/session/refresh")
async def refresh(body: RefreshBody, response: Response, core: TheCore) -> Tokens:
    """New tokens; the refresh token is used up. One that is used twice ends the sign-in."""
    response.headers.update(SECRET)
    return Tokens.of(await signing_in.renew(core, body.refresh_token))


@routes.delete("/session", status_code=204)
async def sign_out(core: TheCore, caller: TheCaller) -> None:
    """Ends the sign-in (or the personal access token) that the request was made with."""
    await signing_in.sign_out(core, caller)


@routes.get("/me")
async def me(core: TheCore, caller: TheCaller) -> Me:
    user = await signing_in.me(core, caller)
    return Me(user=UserAnswer.of(user), permissions=sorted(caller.permissions))


@routes.get("/tokens", response_model_exclude_none=True)
async def list_tokens(core: TheCore, caller: TheCaller) -> list[TokenAnswer]:
    return [TokenAnswer.of(row) for row in await access_tokens.list_tokens(core, caller)]


@routes.post("/tokens", status_code=201, response_model_exclude_none=True)
async def create_token(body: TokenBody, response: Response, core: TheCore, caller: TheCaller) -> TokenAnswer:
    """A personal access token. A token cannot make another."""
    response.headers.update(SECRET)
    return TokenAnswer.of(*await access_tokens.create_token(core, caller, body.name, body.scopes, body.days))


@routes.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: Id, core: TheCore, caller: TheCaller) -> None:
    await access_tokens.revoke_token(core, caller, token_id)


@routes.put("/users/{user_id}/role")
async def set_role(user_id: Id, body: RoleBody, core: TheCore, caller: TheCaller) -> UserAnswer:
    """Administrators only; nobody gives or takes a role above their own."""
    return UserAnswer.of(await users.set_role(core, caller, user_id, body.role))


@routes.get("/audit", response_model_exclude_none=True)
async def audit(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[AuditAnswer]:
    """Who did what in the organisation, newest first; administrators only."""
    rows = await auditing.list_entries(core, caller, wanted)
    return paged([AuditAnswer.of(row) for row in rows], [row.id for row in rows], wanted)
