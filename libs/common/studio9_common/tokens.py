"""Service tokens: short-lived signed statements "I am Orion, speaking to Aries, for this organisation".

JWT (HS256) with a key id, so that keys rotate: the first key signs, all verify. In one process they are made and
checked just the same. Tokens of users are Baile's own and have nothing to do with these.
"""

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import jwt

from studio9_common.errors import BadInput, Unauthenticated

LIFETIME_S = 120
LEEWAY_S = 10
"""How far the clocks of two services may be apart."""
REMEMBERED = 1_000
"""Tokens that are kept for the next request, signed or checked."""
ISSUER = "studio9"
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the service and the organisation it acts for (`system` for none). `job` and `fence` bind a worker's
    token to one attempt; `scopes` narrow what it may do."""

    service: str
    organisation: str
    scopes: tuple[str, ...] = ()
    job: str | None = None
    fence: int | None = None


class TokenSource(Protocol):
    """Where a client's tokens come from: the installation's keys, or a service that signs for who has none."""

    async def token(self, caller: Caller, audience: str) -> str:
        """A token that is valid now. Raises Unauthenticated or Forbidden where it is refused, Unavailable."""
        ...


class TokenKeys:
    """The installation's keys: `kid:base64url` pairs joined by commas, the newest first; at least 32 bytes each."""

    def __init__(self, text: str) -> None:
        self._keys: dict[str, bytes] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            kid, _, encoded = part.partition(":")
            try:
                key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except (binascii.Error, ValueError):
                raise BadInput("a service token key is not base64url", field="token_keys") from None
            if len(key) < 32:
                raise BadInput("a service token key has fewer than 32 bytes", field="token_keys")
            if len(set(key)) < 8:  # of 32 random bytes so few differ once in 10^30 keys
                raise BadInput("a service token key is not random", field="token_keys", fix="have one generated")
            self._keys[kid] = key
        if not self._keys:
            raise BadInput("no service token key is set", field="token_keys", fix="set STUDIO9_TOKEN_KEYS")
        self._signing = next(iter(self._keys))
        self._signed: dict[tuple[Caller, str], tuple[str, float]] = {}
        """With the time from which a new one is signed."""
        self._checked: dict[tuple[str, str], tuple[Caller, float]] = {}
        """With the time at which it has expired."""

    @staticmethod
    def generate(kid: str = "k1") -> str:
        """The text of one new random key."""
        return f"{kid}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"

    def encode(self, claims: Mapping[str, Any], audience: str, lifetime_s: float) -> str:
        """A signed token with these claims for one audience, valid from now on for `lifetime_s` seconds."""
        now = int(time.time())
        head = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + int(lifetime_s)}
        return jwt.encode({**head, **claims}, self._keys[self._signing], "HS256", headers={"kid": self._signing})

    def derive(self, purpose: str, kid: str | None = None) -> tuple[str, str]:
        """A secret for a purpose, in base64url, and the id of the key that it follows from: the newest, or `kid`.
        Raises Unauthenticated when there is no such key (any more)."""
        name = kid or self._signing
        if name not in self._keys:
            raise Unauthenticated("the key behind this secret is no longer used; make a new one")
        digest = hmac.digest(self._keys[name], purpose.encode(), "sha256")
        return name, base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def decode(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a valid token. Raises Unauthenticated for a bad, foreign or expired one."""
        try:
            key = self._keys[str(jwt.get_unverified_header(token).get("kid"))]
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                ["HS256"],
                audience=audience,
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except (jwt.InvalidTokenError, KeyError):
            raise Unauthenticated("the token is not valid here or has expired; get a new one") from None
        return claims

    def sign(self, caller: Caller, audience: str, *, lifetime_s: int = LIFETIME_S) -> str:
        """A service token for one audience (the service that is called)."""
        claims: dict[str, Any] = {"sub": caller.service, "org": caller.organisation}
        if caller.scopes:
            claims["scope"] = " ".join(caller.scopes)
        if caller.job is not None:
            claims |= {"job": caller.job, "fence": caller.fence}
        return self.encode(claims, audience, lifetime_s)

    async def token(self, caller: Caller, audience: str) -> str:
        """As TokenSource; nothing is waited for. One token serves for half of its life."""
        now, key = time.time(), (caller, audience)
        token, until = self._signed.get(key, ("", 0.0))
        if not now < until <= now + LIFETIME_S / 2:
            token = self.sign(caller, audience)
            remember(self._signed, key, (token, now + LIFETIME_S / 2))
        return token

    def check(self, token: str, audience: str) -> Caller:
        """Who made a service token. Raises Unauthenticated for a bad, foreign or expired one."""
        known = self._checked.get((token, audience))
        if known is not None and time.time() < known[1]:
            return known[0]
        claims = self.decode(token, audience)
        caller = Caller(
            service=str(claims["sub"]),
            organisation=str(claims.get("org", "system")),
            scopes=tuple(str(claims.get("scope", "")).split()),
            job=claims.get("job"),
            fence=claims.get("fence"),
        )
        remember(self._checked, (token, audience), (caller, claims["exp"] + LEEWAY_S))
        return caller


def remember(kept: dict[Key, Value], key: Key, value: Value) -> None:
    """Keeps what was found out about a token, and forgets the oldest of too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > REMEMBERED:
        del kept[next(iter(kept))]
