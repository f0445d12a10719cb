"""Signing in and out, and who makes a request."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import Role, SignIn, SignInFailures, User, UserStatus
from studio9_baile.repositories.system import SystemWork
from studio9_baile.security.tokens import Claims
from studio9_common.errors import BadInput, Studio9Error, Unauthenticated
from studio9_common.ids import new_id

FROM_ONE_ADDRESS = 10
"""Behind one address there may be many users, and a proxy."""


class BadCredentials(BadInput):
    """Invalid credentials"""

    code = "invalid_credentials"


class TooManyFailures(Studio9Error):
    """Too many failed sign-ins; wait as long as Retry-After says and try again."""

    status = 429
    code = "too_many_failures"

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"Too many failed sign-ins; try again in {wait_s} seconds")


async def sign_in(core: Core, name: str, password: str, address: str) -> str:
    """A token for a user name or e-mail with its password. Raises BadCredentials, which does not say what was wrong,
    and TooManyFailures for the name or the address."""
    keys = [_key("name", name.lower()), _key("address", address)]
    async with core.database.system() as work:
        await _check_rate(core, work, keys)
        user = await work.user_named(name)
    right = await core.passwords.verify(user.password_hash if user else None, password)
    if not right or user is None or user.status is not UserStatus.ACTIVE:
        async with core.database.system() as work:
            await _count_failure(core, work, keys)
        raise BadCredentials(field="password", fix="check user name and password")
    async with core.database.system() as work:
        await work.forget_failures(keys[:1])
        row = SignIn(
            id=new_id(),
            organisation=user.organisation,
            created_at=work.now,
            user=user.id,
            expires_at=work.now + timedelta(seconds=core.tokens.lifetime_s),
        )
        work.add(row)
    return core.tokens.make(Claims(user.id, user.organisation, row.id))


async def caller_of(core: Core, token: str) -> Caller:
    """Who makes a request. Raises Unauthenticated for a bad, expired or revoked token."""
    claims = core.tokens.read(token)
    async with core.database.read(claims.organisation) as work:
        sign_in_row = await work.sign_ins.find(claims.sign_in)
        user = await work.users.find(claims.user)
    good = (
        sign_in_row is not None
        and user is not None
        and sign_in_row.user == user.id
        and sign_in_row.revoked_at is None
        and sign_in_row.expires_at > core.clock.now()
        and user.status is UserStatus.ACTIVE
    )
    if not good or user is None:
        raise Unauthenticated("the sign-in has ended; sign in again")
    return Caller(claims.user, claims.organisation, claims.sign_in, user.role is Role.ADMIN)


async def sign_out(core: Core, caller: Caller) -> None:
    """Ends the caller's sign-in; its token is worth nothing from now on."""
    async with core.database.write(caller.organisation) as work:
        await work.sign_ins.revoke(work.now, sign_in=caller.sign_in)


async def me(core: Core, caller: Caller) -> User:
    """The caller."""
    async with core.database.read(caller.organisation) as work:
        return await work.users.get(caller.user)


async def _check_rate(core: Core, work: SystemWork, keys: Sequence[str]) -> None:
    wait = timedelta(seconds=core.settings.sign_in_wait_s)
    known = await work.failures(keys)
    for key, factor in zip(keys, (1, FROM_ONE_ADDRESS), strict=True):
        row = known.get(key)
        if row is None:
            continue
        left = row.last_at + wait - work.now
        if row.failures >= core.settings.sign_in_failures * factor and left > timedelta():
            raise TooManyFailures(max(1, round(left.total_seconds())))


async def _count_failure(core: Core, work: SystemWork, keys: Sequence[str]) -> None:
    wait = timedelta(seconds=core.settings.sign_in_wait_s)
    known = await work.failures(keys)
    for key in keys:
        row = known.get(key)
        if row is None:
            work.add(SignInFailures(key=key, failures=1, last_at=work.now))
            continue
        row.failures = 1 if work.now - row.last_at > wait else row.failures + 1
        row.last_at = work.now


def _key(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\x1f{text}".encode()).hexdigest()
