"""Signing in and out, and who makes a request."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import RefreshToken, SignIn, SignInFailures, User, UserStatus
from studio9_baile.models.records import AuditEntry
from studio9_baile.repositories.system import SystemWork
from studio9_baile.security.names import unstorable
from studio9_baile.security.permissions import Permission, granted
from studio9_baile.security.tokens import PERSONAL, Claims, one_time_token, token_hash
from studio9_common.errors import BadInput, Studio9Error, Unauthenticated
from studio9_common.ids import new_id

FROM_ONE_ADDRESS = 10
"""Behind one address there may be many users, and a proxy."""


USED_AGAIN = timedelta(minutes=1)
"""How exact the time of a token's last use is."""


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


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a sign-in to `/v1` gives: a token for a few minutes, and what gets the next one."""

    access: str
    refresh: str
    lifetime_s: int


async def sign_in(core: Core, name: str, password: str, address: str) -> str:
    """A token for a user name or e-mail with its password. Raises BadCredentials, which does not say what was wrong,
    and TooManyFailures for the name or the address."""
    user, keys = await _proven(core, name, password, address)
    async with core.database.system() as work:
        row = await _begin(work, user, keys, core.tokens.lifetime_s)
    return core.tokens.make(Claims(user.id, user.organisation, row.id))


async def sign_in_renewed(core: Core, name: str, password: str, address: str) -> Renewed:
    """The same for a short token that is renewed. Raises as `sign_in` does."""
    user, keys = await _proven(core, name, password, address)
    async with core.database.system() as work:
        row = await _begin(work, user, keys, core.settings.refresh_lifetime_s)
        await work.flush()
        refresh = _add_refresh(work, row)
    return _renewed(core, row, refresh)


async def renew(core: Core, refresh: str) -> Renewed:
    """New tokens for a refresh token, which is used up. One that comes a second time is known to two people: the whole
    sign-in ends. Raises Unauthenticated."""
    async with core.database.system() as work:
        found = await work.refresh_token(token_hash(refresh)) if refresh.isascii() else None
        if found is None or found[1].revoked_at is not None or found[1].expires_at <= work.now:
            found = None
        elif found[0].used_at is not None:
            found[1].revoked_at = work.now
            work.add(_entry(work, found[1].organisation, found[1].user, "refresh_token_reused", found[1].id))
            found = None
        else:
            found[0].used_at = work.now
            again = _add_refresh(work, found[1])
    if found is None:
        raise Unauthenticated("the sign-in has ended; sign in again")
    return _renewed(core, found[1], again)


async def _proven(core: Core, name: str, password: str, address: str) -> tuple[User, list[str]]:
    """The user, whose password it is, and the keys under which failures are counted."""
    keys = [_key("name", name.lower()), _key("address", address)]
    async with core.database.system() as work:
        await _check_rate(core, work, keys)
        user = None if unstorable(name) else await work.user_named(name)
    right = await core.passwords.verify(user.password_hash if user else None, password)
    if not right or user is None or user.status is not UserStatus.ACTIVE:
        async with core.database.system() as work:
            await _count_failure(core, work, keys)
            if user is not None:
                work.add(_entry(work, user.organisation, user.id, "sign_in_failed", user.id))
        raise BadCredentials(field="password", fix="check user name and password")
    return user, keys


async def _begin(work: SystemWork, user: User, keys: Sequence[str], lifetime_s: int) -> SignIn:
    await work.forget_failures(keys[:1])
    row = SignIn(
        id=new_id(),
        organisation=user.organisation,
        created_at=work.now,
        user=user.id,
        expires_at=work.now + timedelta(seconds=lifetime_s),
    )
    work.add(row)
    work.add(_entry(work, user.organisation, user.id, "sign_in", row.id))
    return row


def _add_refresh(work: SystemWork, sign_in: SignIn) -> str:
    token, hashed = one_time_token()
    work.add(
        RefreshToken(
            id=new_id(),
            organisation=sign_in.organisation,
            created_at=work.now,
            sign_in=sign_in.id,
            token_hash=hashed,
        )
    )
    return token


def _renewed(core: Core, sign_in: SignIn, refresh: str) -> Renewed:
    lifetime_s = core.settings.access_lifetime_s
    token = core.tokens.make(Claims(sign_in.user, sign_in.organisation, sign_in.id), lifetime_s)
    return Renewed(token, refresh, lifetime_s)


def _entry(work: SystemWork, organisation: str, user: str, action: str, sign_in: str) -> AuditEntry:
    return AuditEntry(
        id=new_id(),
        organisation=organisation,
        created_at=work.now,
        user=user,
        action=action,
        kind="SIGN_IN",
        asset=sign_in,
    )


async def caller_of(core: Core, token: str) -> Caller:
    """Who makes a request, with a sign-in's token or a personal access token. Raises Unauthenticated for a bad, expired
    or revoked one."""
    if token.startswith(PERSONAL):
        return await _personal(core, token)
    claims = core.tokens.read(token)

    async def look(asked: Sequence[None]) -> list[Caller]:
        return [await _standing(core, claims)] * len(asked)

    # Requests that a page sends at once are looked up once, by a statement that begins when all of them are there.
    return await core.together.do(("caller", claims), None, look)


async def _standing(core: Core, claims: Claims) -> Caller:
    async with core.database.read(claims.organisation) as work:
        found = await work.sign_ins.standing(claims.sign_in, claims.user)
    if (
        found is None
        or found.revoked_at is not None
        or found.expires_at <= core.clock.now()
        or found.status is not UserStatus.ACTIVE
    ):
        raise Unauthenticated("the sign-in has ended; sign in again")
    return Caller(claims.user, claims.organisation, claims.sign_in, found.role, granted(found.role))


async def _personal(core: Core, token: str) -> Caller:
    async with core.database.system(writing=False) as system:
        found = await system.access_token(token_hash(token)) if token.isascii() else None
    now = core.clock.now()
    if found is None or found[0].revoked_at is not None or found[0].expires_at <= now:
        raise Unauthenticated("this token is unknown, expired or revoked; make a new one")
    row, user = found
    if user.status is not UserStatus.ACTIVE:
        raise Unauthenticated("the token's user cannot sign in; ask an administrator")
    if row.used_at is None or now - row.used_at > USED_AGAIN:
        async with core.database.write(row.organisation) as work:
            if (mine := await work.access_tokens.find(row.id)) is not None:
                mine.used_at = now
    scopes = frozenset(Permission(scope) for scope in row.scopes)
    return Caller(user.id, row.organisation, row.id, user.role, granted(user.role, scopes))


async def sign_out(core: Core, caller: Caller) -> None:
    """Ends the caller's sign-in (or personal access token); its tokens are worth nothing from now on."""
    async with core.database.write(caller.organisation) as work:
        await work.sign_ins.revoke(work.now, sign_in=caller.sign_in)
        if (token := await work.access_tokens.find(caller.sign_in)) is not None:
            token.revoked_at = work.now
        work.audit(caller.user, "sign_out", "SIGN_IN", caller.sign_in)


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
