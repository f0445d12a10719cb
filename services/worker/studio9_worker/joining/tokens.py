"""Service tokens of a machine without the installation's keys: Orion signs them, each for a short time."""

import time
from collections import OrderedDict
from collections.abc import Callable

from studio9_common.contracts.joining import TokenRequest
from studio9_common.tokens import Caller
from studio9_worker.joining.orion import OrionForMembers

KEPT = 256
EARLY = 0.5
"""Of its life a token is used so much; then a new one is asked for."""


class MemberTokens:
    """See `studio9_common.tokens.TokenSource`. Of the caller, job and fence count; the rest Orion fills in."""

    def __init__(self, orion: OrionForMembers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._orion, self._clock = orion, clock
        self._known: OrderedDict[TokenRequestKey, tuple[str, float]] = OrderedDict()

    async def token(self, caller: Caller, audience: str) -> str:
        """A valid token. Raises Unauthenticated once the worker was removed, Forbidden, Unavailable."""
        key = (audience, caller.job, caller.fence)
        token, until = self._known.get(key, ("", 0.0))
        now = self._clock()
        if now < until:
            return token
        answer = await self._orion.token(TokenRequest(audience=audience, job=caller.job, fence=caller.fence))
        self._known[key] = (answer.token, now + EARLY * answer.valid_s)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return answer.token


TokenRequestKey = tuple[str, str | None, int | None]
