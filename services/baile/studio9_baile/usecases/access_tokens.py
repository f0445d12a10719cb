"""Personal access tokens: made by their user, shown once, narrowed by scopes, revoked at any time."""

from collections.abc import Collection
from datetime import timedelta

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import AccessToken
from studio9_baile.security.names import asset_name
from studio9_baile.security.permissions import SCOPES, Permission
from studio9_baile.security.tokens import PERSONAL, one_time_token, token_hash
from studio9_common.errors import BadInput, Conflict, NotFound

MOST = 50
LONGEST_DAYS = 366


async def create_token(
    core: Core, caller: Caller, name: str, scopes: Collection[str], days: int
) -> tuple[AccessToken, str]:
    """A token that may do what `scopes` name, for `days` days (1 to LONGEST_DAYS). Its text is never shown again.
    Raises BadInput for an unknown scope or one that the user's own role does not have, Conflict for too many."""
    wanted = asset_name(name, "Token")
    if not 1 <= days <= LONGEST_DAYS:
        raise BadInput("Token lives too short or too long", field="days", value=days, fix=f"use 1 to {LONGEST_DAYS}")
    mine = caller.permissions & SCOPES
    unknown = [scope for scope in scopes if scope not in mine]
    if unknown or not scopes:
        raise BadInput(
            "Scopes cannot be used", field="scopes", value=", ".join(unknown)[:200], fix=f"use {_listed(mine)}"
        )
    token = PERSONAL + one_time_token()[0]
    async with core.database.write(caller.organisation) as work:
        if len(await work.access_tokens.of(caller.user)) >= MOST:
            raise Conflict("You have too many tokens", field="name", fix="revoke those that are not used")
        row = work.access_tokens.make(
            user=caller.user,
            name=wanted,
            token_hash=token_hash(token),
            scopes=sorted(set(scopes)),
            expires_at=work.now + timedelta(days=days),
        )
        work.audit(caller.user, "created", "ACCESS_TOKEN", row.id, {"scopes": row.scopes})
    return row, token


async def list_tokens(core: Core, caller: Caller) -> list[AccessToken]:
    """The caller's tokens that were not revoked."""
    async with core.database.read(caller.organisation) as work:
        return await work.access_tokens.of(caller.user)


async def revoke_token(core: Core, caller: Caller, identifier: str) -> None:
    """Ends one of the caller's tokens at once. Raises NotFound."""
    async with core.database.write(caller.organisation) as work:
        row = await work.access_tokens.get(identifier, lock=True)
        if row.user != caller.user:
            raise NotFound(work.access_tokens.missing)
        row.revoked_at = row.revoked_at or work.now
        work.audit(caller.user, "revoked", "ACCESS_TOKEN", row.id)


def _listed(scopes: Collection[Permission]) -> str:
    return ", ".join(sorted(scopes))
