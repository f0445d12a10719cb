"""Users' tokens: JWT whose keys rotate. A token names its sign-in, which can be revoked."""

import hashlib
import secrets
import time
from dataclasses import dataclass

from studio9_common.errors import BadInput
from studio9_common.tokens import LEEWAY_S, TokenKeys, remember

AUDIENCE = "studio9-users"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a user's token says."""

    user: str
    organisation: str
    sign_in: str


class UserTokens:
    """Makes and checks users' tokens. `keys` as in studio9_common.tokens, but other keys than the services'. Raises
    BadInput for keys that cannot be used."""

    def __init__(self, keys: str, lifetime_s: int) -> None:
        if not keys.strip():
            raise BadInput("no key for users' tokens is set", field="user_keys", fix="set STUDIO9_BAILE_USER_KEYS")
        self._keys = TokenKeys(keys)
        self.lifetime_s = lifetime_s
        self._read: dict[str, tuple[Claims, float]] = {}
        """With the time at which the token has expired."""

    def make(self, claims: Claims, lifetime_s: int | None = None) -> str:
        """A token, for as long as a sign-in of Salsa's unless `lifetime_s` says otherwise."""
        body = {"sub": claims.user, "org": claims.organisation, "sid": claims.sign_in}
        return self._keys.encode(body, AUDIENCE, self.lifetime_s if lifetime_s is None else lifetime_s)

    def secret_for(self, purpose: str, kid: str | None = None) -> tuple[str, str]:
        """A secret that is not stored: it follows from a key (the newest, or the one named) and its purpose. Raises
        Unauthenticated when that key is no longer there."""
        name, secret = self._keys.derive(f"{AUDIENCE}:{purpose}", kid)
        return name, f"s9w_{secret}"

    def read(self, token: str) -> Claims:
        """Raises Unauthenticated. Whether the sign-in was revoked is for the caller to find out."""
        known = self._read.get(token)
        if known is not None and time.time() < known[1]:
            return known[0]
        said = self._keys.decode(token, AUDIENCE)
        claims = Claims(user=str(said["sub"]), organisation=str(said.get("org")), sign_in=str(said.get("sid")))
        remember(self._read, token, (claims, said["exp"] + LEEWAY_S))
        return claims


PERSONAL = "s9_"
"""How a personal access token begins, so that scanners for leaked secrets can know it."""


def one_time_token() -> tuple[str, str]:
    """A new random token and the hash under which it is kept."""
    token = secrets.token_urlsafe(32)
    return token, token_hash(token)


def token_hash(token: str) -> str:
    """The hash of a random token; it has enough entropy for a plain one."""
    return hashlib.sha256(token.encode()).hexdigest()
